package store

import (
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Filter says which profiles are meant: those of which all that is set is true.
type Filter struct {
	Bank  uint32 // their mask is over this bank, or one of their codes
	Head  uint32 // they share this head
	Label string // their prior counts an example of it, or their own head does (Options.HeadLabels)

	Learned  bool // they have learned from examples
	Observed bool // they were observed, and have not learned yet
}

// cohorts are those that a profile must be in; none: every profile fits.
func (f Filter) cohorts() (cohorts []string) {
	if f.Bank != 0 {
		cohorts = append(cohorts, cohortOfRef(cohortBank, f.Bank))
	}
	if f.Head != 0 {
		cohorts = append(cohorts, cohortOfRef(cohortHead, f.Head))
	}
	if f.Label != "" {
		cohorts = append(cohorts, cohortOfLabel(f.Label))
	}
	if f.Learned {
		cohorts = append(cohorts, cohortOfLearned(true))
	}
	if f.Observed {
		cohorts = append(cohorts, cohortOfLearned(false))
	}
	return cohorts
}

// selection is what a listing yields: the profiles that one of its filters fits.
// A number that the cohorts name is looked up before it is listed, so that the
// listing is exact whatever is written meanwhile.
type selection struct {
	rules *cohortRules
	of    [][]string      // the cohorts of each filter; none: all profiles
	in    *roaring.Bitmap // the numbers that may fit; nil: any
}

// selected reads the cohorts that filters name. Without them, or if they are
// damaged, every record must be read.
func (s *Store) selected(of []Filter) (selection, error) {
	x := selection{rules: &s.rules}
	for _, f := range of {
		cohorts := f.cohorts()
		if len(cohorts) == 0 {
			return selection{rules: &s.rules}, nil
		}
		x.of = append(x.of, cohorts)
	}
	if len(of) == 0 {
		return x, nil
	}
	err := s.view(func(t *txn) (err error) {
		if x.in = nil; !s.rules.kept(t.Tx) {
			return nil
		}
		in := roaring.New()
		for _, cohorts := range x.of {
			fitting, err := t.inAll(cohorts)
			if err != nil {
				s.opts.Logger.Warn("reading every profile", "error", err)
				return nil
			}
			in.Or(fitting)
		}
		x.in = in
		return nil
	})
	return x, err
}

// may says whether the profile with a number may fit.
func (x *selection) may(n uint32) bool { return x.in == nil || x.in.Contains(n) }

func (x *selection) fits(t *txn, p *Profile) bool {
	if len(x.of) == 0 {
		return true
	}
	is, _ := x.rules.of(t, p)
	return slices.ContainsFunc(x.of, func(cohorts []string) bool {
		return !slices.ContainsFunc(cohorts, func(c string) bool {
			_, found := slices.BinarySearch(is, c)
			return !found
		})
	})
}

// inAll returns the numbers that are in each of some cohorts.
func (t *txn) inAll(cohorts []string) (*roaring.Bitmap, error) {
	var all []*roaring.Bitmap
	for _, cohort := range cohorts {
		in, prefix := roaring.New(), []byte(cohort)
		for k, v := range t.Bucket(format.Cohorts).of(prefix) {
			low, err := readCohort(k, v)
			if err != nil {
				return nil, err
			}
			if len(k) == len(prefix)+2 {
				in.Or(roaring.AddOffset64(low, int64(binary.BigEndian.Uint16(k[len(prefix):]))<<16))
			}
		}
		all = append(all, in)
	}
	return roaring.FastAnd(all...), nil
}
