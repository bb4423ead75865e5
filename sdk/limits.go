package sdk

import (
	"cmp"
	"fmt"
	"unicode/utf8"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Limits bound what callers and bundles bring. A zero field means its default, and none can be
// raised beyond what is said here. Beyond a limit a call is ErrLimit, or ErrID for an id, and
// nothing of it is stored. A limit that is lowered leaves what is stored: it is served, learned on
// and erased as before, but for ids.
type Limits struct {
	// bytes of a profile's id; default 256, at most 4,096. Forget takes longer ones too, that were
	// stored before
	ID      int
	Text    int // bytes of a request's text and pair together; default 1 MiB, at most 16 MiB
	Example int // bytes of an example's text, pair and label together; default 64 KiB, at most 15 MiB
	// that are kept of a profile: the oldest make room, without an error; default 512, at most
	// 1,048,576
	Examples      int
	LearnExamples int // of a profile in one call; default 100,000, at most 10,000,000
	Candidates    int // of one Rank or Chose; default 64, at most 4,096
	Labels        int // of a profile's own head, those of AddLabels included; default and at most 4,096
	HeadBytes     int // of a head, encoded: an own head, and each head in a bundle; default 32 MiB, at most 60 MiB
	// BundleBytes bounds a bundle once it is decompressed; default 8 GiB, at most 1 TiB.
	BundleBytes int64
	// BundleProfiles bounds the profiles in a bundle; default 10 million, at most 1 billion.
	BundleProfiles int
	// RandomBankBytes bounds the memory of a random bank, which Config and any bundle can name, and
	// which grows as its rows are used; default 16 GiB, at most 1 TiB.
	RandomBankBytes int64
}

const (
	mostID = 4096 // the store's own
	// numberRoom is what a number takes as a label beyond an empty one.
	numberRoom = 32
)

// setDefaults fills the zero fields in and returns what is out of range.
func (l *Limits) setDefaults() (faults []string) {
	faults = append(faults, setLimit("ID", &l.ID, 256, mostID)...)
	faults = append(faults, setLimit("Text", &l.Text, 1<<20, 16<<20)...)
	faults = append(faults, setLimit("Example", &l.Example, 64<<10, 15<<20)...)
	faults = append(faults, setLimit("Examples", &l.Examples, 512, 1<<20)...)
	faults = append(faults, setLimit("LearnExamples", &l.LearnExamples, 100_000, 10_000_000)...)
	faults = append(faults, setLimit("Candidates", &l.Candidates, 64, 4096)...)
	faults = append(faults, setLimit("Labels", &l.Labels, model.MaxLabels, model.MaxLabels)...)
	faults = append(faults, setLimit("HeadBytes", &l.HeadBytes, 32<<20, 60<<20)...)
	faults = append(faults, setLimit("BundleBytes", &l.BundleBytes, 8<<30, 1<<40)...)
	faults = append(faults, setLimit("BundleProfiles", &l.BundleProfiles, 10_000_000, 1_000_000_000)...)
	return append(faults, setLimit("RandomBankBytes", &l.RandomBankBytes, 16<<30, 1<<40)...)
}

func setLimit[T int | int64](name string, field *T, fallback, most T) []string {
	if *field < 0 || *field > most {
		return []string{fmt.Sprintf("Limits.%s is %d, want at most %d", name, *field, most)}
	}
	*field = cmp.Or(*field, fallback)
	return nil
}

// over is the error of a value beyond the limit that an option sets; what says which value, with
// its unit.
func over[T int | int64](what string, value T, option string, limit T) error {
	if value <= limit {
		return nil
	}
	return fmt.Errorf("%w: %s: %d, Options.Limits.%s is %d", ErrLimit, what, value, option, limit)
}

// checkID says whether a profile can have an id.
func (l Limits) checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: an empty one", ErrID)
	case len(id) > l.ID:
		return fmt.Errorf("%w: %d bytes, Options.Limits.ID is %d", ErrID, len(id), l.ID)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: not UTF-8", ErrID)
	}
	return nil
}

// headBytes is the most that a head of these shapes and labels takes, encoded, whatever its counts
// will be.
func headBytes(h *model.Head) int {
	const fixed, count = 16, 5
	n := fixed + count*len(h.Counts) + 4*(len(h.W)+len(h.B)+len(h.W1)+len(h.B1))
	for _, l := range h.Labels {
		n += 2 + len(l)
	}
	return n
}

func (o Options) store() *store.Options {
	l := o.Limits
	so := &store.Options{Timeout: o.Timeout, ReadOnly: o.ReadOnly, MaxID: l.ID, MaxText: l.Example + numberRoom,
		MaxExamples: l.Examples, MasterKey: o.MasterKey, Reserve: o.Reserve, Logger: o.Logger, MaxAge: o.ExampleAge}
	o.texts.Into(so)
	return so
}
