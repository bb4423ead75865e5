package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// testFilters are of each kind, and of more than one.
var testFilters = []Filter{
	{Bank: 1}, {Bank: 2}, {Bank: 9}, {Head: 1}, {Head: 2}, {Label: "a"}, {Label: "b"}, {Label: "c"},
	{Label: "nobody's"}, {Learned: true}, {Observed: true},
	{Bank: 1, Label: "b"}, {Bank: 2, Head: 1, Learned: true}, {Learned: true, Observed: true}, {},
	{Bank: 3}, {Bank: 4}, {Bank: 3, Label: "b"},
}

// fitting says in other words than the store's whether a filter fits a profile,
// whose head is given.
func (f Filter) fitting(p *Profile, head []byte, known bool) bool {
	has := false
	if known {
		labels, counts := testLabels(head)
		if p.Head != 0 {
			counts = p.Prior
		}
		i := slices.Index(labels, f.Label)
		has = i >= 0 && i < len(counts) && counts[i] > 0
	}
	over := p.Mask != nil && p.Bank == f.Bank ||
		slices.ContainsFunc(p.Codes, func(c Code) bool { return c.Bank == f.Bank })
	return (f.Bank == 0 || over) && (f.Head == 0 || p.Head == f.Head) && (f.Label == "" || has) &&
		(!f.Learned || p.Examples > 0) && (!f.Observed || p.Examples == 0)
}

// checkCohorts compares what listings by filters say with the profiles themselves.
func checkCohorts(t testing.TB, s *Store) {
	t.Helper()
	ids := func(listing func(yield func(*Profile, error) bool)) (ids []string) {
		for p, err := range listing {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, p.ID)
		}
		return ids
	}
	want := map[Filter][]string{}
	for p, err := range s.Profiles("") {
		head := []byte(nil)
		if err == nil {
			head = p.OwnHead
		}
		if err == nil && p.Head != 0 {
			head, err = s.Head(p.Head)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range testFilters {
			if f.fitting(p, head, s.opts.HeadLabels != nil) {
				want[f] = append(want[f], p.ID)
			}
		}
	}
	for _, f := range testFilters {
		if diff := cmp.Diff(want[f], ids(s.Profiles("", f))); diff != "" {
			t.Errorf("profiles of %+v: %s", f, diff)
		}
		shuffled := ids(s.Shuffled(f))
		slices.Sort(shuffled)
		if !slices.Equal(want[f], shuffled) {
			t.Errorf("%+v: got shuffled %q, want %q", f, shuffled, want[f])
		}
	}
	either := map[string]bool{}
	for _, f := range testFilters[1:4] {
		for _, id := range want[f] {
			either[id] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(either)), ids(s.Profiles("", testFilters[1:4]...))); diff != "" {
		t.Errorf("either of three: %s", diff)
	}
}

// wantNoCohorts says that a file has none, nor an index.
func wantNoCohorts(tx *bolt.Tx) error {
	if tx.Bucket(format.Cohorts) != nil || tx.Bucket(format.Index) != nil {
		return errors.New("got cohorts or an index, want neither")
	}
	return nil
}

// codeBanks are for codes of K=19 and of K=8.
var codeBanks = []BankInfo{{Digest: Digest{9}, N: 38, Blocks: 1}, {Digest: Digest{10}, N: 16, Blocks: 1}}

// mixed puts two banks of masks, two of codes and two heads into a store, and
// profiles of all kinds.
func mixed(t testing.TB, s *Store, n int) *Store {
	t.Helper()
	other := testBank
	other.Digest = Digest{8}
	for _, info := range append([]BankInfo{other}, codeBanks...) {
		must(s.PutBank(ctx, info))
	}
	for i := range 2 {
		if ref, _, err := s.PutHead(ctx, testHead(byte(i))); ref != uint32(i+1) || err != nil {
			t.Fatalf("got head %d, %v", ref, err)
		}
	}
	for i := range n {
		must(s.Put(ctx, profileOfKind(t, fmt.Sprintf("user%03d", i), i|i%4<<10), Write{}))
	}
	return s
}

// unchecked is newStore of a file that Check would find something wrong with.
func unchecked(t testing.TB) *Store {
	t.Helper()
	s := must(Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, fast))
	t.Cleanup(func() { s.Close() })
	must(s.PutBank(ctx, testBank))
	return s
}

// maskedProfile is a randomProfile that has a mask, and no codes.
func maskedProfile(r *rand.Rand, id string) *Profile {
	p := randomProfile(r, id)
	p.Bank, p.Mask, p.Codes, p.Temperature = 1, randomMask(r, 20, 5, 2), nil, 0
	return p
}

// mixedProfile is of some kind.
func mixedProfile(r *rand.Rand, id string) *Profile {
	p := maskedProfile(r, id)
	p.setKind(r.IntN(1 << 12))
	return p
}

// profileOfKind is of the kind that a number says.
func profileOfKind(t testing.TB, id string, kind int) *Profile {
	p := maskedProfile(newRand(t), id)
	p.setKind(kind)
	return p
}

func (p *Profile) setKind(kind int) {
	p.Bank, p.Head, p.OwnHead, p.Prior, p.Examples = 1+uint32(kind&1), 0, nil, nil, uint32(kind>>1&1)
	switch kind >> 2 & 3 {
	case 1, 2:
		p.Head, p.Prior = uint32(kind>>2&3), []uint32{uint32(kind >> 4 & 1), 7, uint32(kind >> 5 & 1)}
	case 3:
		p.OwnHead = testHead(byte(kind >> 4))
	}
	if rows := kind >> 10 & 3; rows > 0 {
		p.Temperature = byte(kind >> 2)
		if rows < 3 {
			p.Codes = []Code{testCode(3, 19, uint32(kind>>4&3), 5)}
		}
		if rows > 1 {
			p.Mask, p.Bank = nil, 0
		}
		if rows == 2 {
			p.Codes = append(p.Codes, testCode(4, 8, 0, 1))
		}
	}
}

func TestCohorts(t *testing.T) {
	s := mixed(t, newStore(t, fast), 64)
	checkCohorts(t, s)
	for i := range 64 { // each becomes of another kind, or goes
		id := fmt.Sprintf("user%03d", i)
		if i%5 == 0 {
			if err := s.Delete(ctx, id); err != nil {
				t.Fatal(err)
			}
		} else {
			must(s.Put(ctx, profileOfKind(t, id, i*7+3), Write{}))
		}
	}
	checkCohorts(t, s)
	must(s.Put(ctx, profileOfKind(t, "another", 9), Write{})) // has a number of one that went
	checkCohorts(t, s)
	s = reopen(t, s, with(Options{ReadOnly: true}))
	checkCohorts(t, s)
}

// TestCohortSetsUntouched says that a Put writes no set unless the profile changes
// its cohorts, and then those alone.
func TestCohortSetsUntouched(t *testing.T) {
	s := mixed(t, newStore(t, fast), 64)
	touched := func(p *Profile) (n int) {
		err := s.write(ctx, func(w *writeTx) error {
			_, err := w.put(p, Write{})
			n = len(w.sets)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	shared, own := must(s.Get("user020")), must(s.Get("user028"))
	if shared.Head == 0 || own.OwnHead == nil {
		t.Fatal("these are of other kinds")
	}
	own.OwnHead = testHead(0b001)
	touched(own)
	for what, c := range map[string]struct {
		of     *Profile
		change func(p *Profile)
		want   int
	}{
		"nothing": {shared, func(p *Profile) {}, 0},
		"more examples": {shared, func(p *Profile) {
			p.Prior, p.After = []uint32{p.Prior[0] * 9, 90, p.Prior[2]},
				1
		}, 0},
		"nothing of an own": {own, func(p *Profile) { p.Bias = []byte{1} }, 0},
		"learned or not":    {shared, func(p *Profile) { p.Examples = 1 - p.Examples }, 2},
		"one more label":    {shared, func(p *Profile) { p.Prior = []uint32{p.Prior[0], 7, 1 - p.Prior[2]} }, 1},
		"another bank":      {own, func(p *Profile) { p.Bank = 3 - p.Bank }, 2},
		"labels of an own":  {own, func(p *Profile) { p.OwnHead = testHead(0b110) }, 3},
		"a shared head":     {own, func(p *Profile) { p.Head, p.OwnHead, p.Prior = 1, nil, []uint32{1} }, 1},
	} {
		p := *c.of
		c.change(&p)
		if got := touched(&p); got != c.want {
			t.Errorf("%s: got %d sets, want %d", what, got, c.want)
		}
		touched(c.of)
	}
}

// TestCohortSetsFar has numbers with other upper halves.
func TestCohortSetsFar(t *testing.T) {
	s := unchecked(t)
	err := s.write(ctx, func(w *writeTx) error { w.tally.NextNumber = 1<<16 - 3; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		p := profileOfKind(t, fmt.Sprint("user", i), 4*3+16*i)
		p.Bank = 1
		must(s.Put(ctx, p, Write{}))
	}
	checkCohorts(t, s)
	must(s.Put(ctx, &Profile{ID: "user7", Bank: 1, Mask: must(s.Get("user7")).Mask, Examples: 2}, Write{}))
	if err := s.Delete(ctx, "user0"); err != nil {
		t.Fatal(err)
	}
	checkCohorts(t, s)
	sets := 0
	err = s.view(func(x *txn) error {
		return x.Tx.Bucket(format.Cohorts).ForEach(func(k, _ []byte) error {
			if bytes.HasPrefix(k, []byte(cohortOfRef(cohortBank, 1))) {
				sets++
			}
			return nil
		})
	})
	if sets != 2 || err != nil {
		t.Errorf("got %d sets of the bank, %v, want 2", sets, err)
	}
}

// TestCohortSetsDamaged says that a damaged set is neither believed nor in the way
// of a write, which makes all anew.
func TestCohortSetsDamaged(t *testing.T) {
	s := mixed(t, newStore(t, fast), 40)
	damage := func() {
		err := s.write(ctx, func(w *writeTx) error {
			b := w.Tx.Bucket(format.Cohorts)
			var keys [][]byte
			err := b.ForEach(func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil })
			for _, k := range keys {
				err = errors.Join(err, b.Put(k, []byte("damaged")))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	damage()
	checkCohorts(t, s)
	must(s.Put(ctx, profileOfKind(t, "user007", 50), Write{}))
	if r, err := s.Check(ctx, true); err != nil || r.Cohorts == 0 {
		t.Errorf("got %d sets, %v %q", r.Cohorts, err, r.Problems)
	}
	damage()
	if err := s.Delete(ctx, "user008"); err != nil {
		t.Fatal(err)
	}
	checkCohorts(t, s)
}

// TestCohortSetsOfDamaged says that a profile whose record, or whose head, cannot be
// read leaves its cohorts when it is deleted.
func TestCohortSetsOfDamaged(t *testing.T) {
	s := mixed(t, unchecked(t), 40)
	record, head := must(s.Get("user020")), must(s.Get("user024"))
	var sound []byte
	err := s.write(ctx, func(w *writeTx) error {
		sound = bytes.Clone(w.Bucket(format.Heads).Get(format.Key(head.Head)))
		return errors.Join(w.Bucket(format.Profiles).put(format.Key(record.Number), []byte("damaged")),
			w.Bucket(format.Heads).put(format.Key(head.Head), bytes.Repeat([]byte{9}, 40)))
	})
	err = errors.Join(err, s.Delete(ctx, record.ID), s.Delete(ctx, head.ID), s.write(ctx, func(w *writeTx) error {
		return w.Bucket(format.Heads).put(format.Key(head.Head), sound)
	}))
	if err != nil {
		t.Fatal(err)
	}
	checkCohorts(t, s)
	r, _ := s.Check(ctx, true) // the tally counts the bytes of the damaged record
	if r.Cohorts == 0 || len(r.Problems) > 2 || strings.Contains(fmt.Sprint(r.Problems), "cohort") {
		t.Errorf("got %d sets, problems %q, want none with the sets", r.Cohorts, r.Problems)
	}
}

// TestCohortSetsRules opens a file under other rules than it was written with: a
// reader reads all, a writer makes the cohorts anew.
func TestCohortSetsRules(t *testing.T) {
	s := mixed(t, newStore(t, fast), 40)
	plain := &Options{NoSync: true}
	for i, o := range []*Options{{ReadOnly: true}, plain, with(Options{ReadOnly: true}), plain, fast} {
		s = reopen(t, s, o)
		checkCohorts(t, s)
		if !o.ReadOnly {
			must(s.Put(ctx, profileOfKind(t, "user003", i*11), Write{}))
			checkCohorts(t, s)
		}
		want := !o.ReadOnly
		if r, err := s.Check(ctx, true); err != nil || (r.Cohorts > 0) != want {
			t.Errorf("opening %d: got %d sets, %v %q, want some: %t", i, r.Cohorts, err, r.Problems, want)
		}
	}
}

// TestCohortSetsUpgrade opens the files of all versions: a reader finds no cohorts
// in those before schema 7, and reads all; a writer makes them.
func TestCohortSetsUpgrade(t *testing.T) {
	for _, name := range []string{"store-v1.db.zst", "store-v2.db.zst", "store-v3.db.zst", "store-v5.db.zst",
		"store-v7.db.zst", "store-v8.db.zst"} {
		t.Run(name, func(t *testing.T) {
			path := goldenFile(t, name)
			for i, o := range []*Options{with(Options{ReadOnly: true}), fast, with(Options{ReadOnly: true})} {
				s, err := Open(path, o)
				if err != nil {
					t.Fatal(err)
				}
				checkCohorts(t, s)
				r, err := s.Check(ctx, true)
				if want := (i > 0 || name >= "store-v7") && r.Profiles > 0; err != nil || (r.Cohorts > 0) != want {
					t.Errorf("opening %d: got %d sets, %v %q, want some: %t", i, r.Cohorts, err, r.Problems, want)
				}
				err = s.view(func(x *txn) error {
					if i > 0 && (x.Tx.Bucket(format.Index) != nil ||
						x.Tx.Bucket(format.Meta).Get(format.KeyIndex) != nil || !s.rules.kept(x.Tx)) {
						return errors.New("the file has an index, or no cohorts")
					}
					return nil
				})
				if err := errors.Join(err, s.Close()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
