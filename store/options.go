package store

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// Options are those of Create and Open. Nil, and every zero field, means the
// default.
type Options struct {
	// Timeout is how long to wait for a file that another process has open,
	// before ErrLocked. Default 1 s.
	Timeout time.Duration
	// ReadOnly opens without writing anything, shared with other readers.
	ReadOnly bool
	// NoSync leaves out the fsync of every commit. For tests and for loading
	// data that can be loaded again: a crash may lose or damage the file.
	NoSync bool
	// History is the number of earlier revisions kept of each profile.
	// Default 3; negative keeps none.
	History int
	// MaxExamples is the number of examples kept of each profile. Over it, the
	// oldest example of the label that has the most goes first, so that no
	// stream of one label pushes the others out. Labels that begin with a
	// control byte count as one. Default 512; negative keeps none.
	MaxExamples int
	// MaxAge is how long an example is kept: an older one is not read any more,
	// and erased by the profile's next write or by Expire. Default: for ever.
	MaxAge time.Duration
	// TextKey says which texts are one. Default: those that are equal.
	TextKey func(text, pair string) uint64
	// Held says whether an example is kept back from training; old if it is
	// one of a file that does not say, of a profile that had this id.
	// Default: none is.
	Held func(id string, e Example, old bool) bool
	// HeadLabels reads the labels of a head, and how often each was in the examples
	// that the head was trained on; nothing of one that it cannot read. It must say
	// the same of the same bytes always. The labels of a profile (Filter.Label) are
	// those of its shared head that its Prior counts, or those of its own head that
	// are counted there. Default: nothing is known of labels. A file that was last
	// written with another default is read whole by Open.
	HeadLabels func(head []byte) (labels []string, counts []uint32)
	// MaxID is the length limit of a profile's id in bytes. Default 256, and
	// at most 4096.
	MaxID int
	// MaxText is the length limit in bytes of an example's text, pair and
	// label together. Default 64 KiB, and 32 for the label of a number.
	MaxText int
	// Reserve is how many bytes of addresses, not of memory, the file is mapped
	// at when it is opened, so that it can grow without a new mapping: that would
	// keep readers waiting for a Backup or Check that has the old one. A larger
	// mapping takes its place in time. Default 4 GiB, or 4 times the file if that
	// is more; less on 32 bits. Windows has none: there it would grow the file.
	Reserve int64
	// MasterKey makes Create encrypt what is stored of profiles, for the store's
	// life, and opens a store that is encrypted: MasterKeySize random bytes, to
	// be kept elsewhere. Without it, or with another, that is ErrKey.
	MasterKey []byte
	// Logger is told of rebuilt cohorts and resumed imports. Default: silence.
	Logger *slog.Logger
}

// MasterKeySize is the length of Options.MasterKey.
const MasterKeySize = keyring.MasterSize

// The limits that no option can raise.
const (
	maxID       = format.MaxID
	maxText     = 16 << 20
	maxExamples = 1 << 20
	maxHistory  = 1 << 10
	maxReserve  = 1 << 46 // a processor has hardly more addresses
	// MaxRecord is the largest encoded profile, an own head included.
	MaxRecord = format.MaxRecord
)

// withDefaults returns a copy with the defaults filled in, or every fault.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	c.Timeout = cmp.Or(c.Timeout, time.Second)
	c.History, c.MaxExamples = max(cmp.Or(c.History, 3), 0), max(cmp.Or(c.MaxExamples, 512), 0)
	c.MaxID, c.MaxText = cmp.Or(c.MaxID, 256), cmp.Or(c.MaxText, 64<<10+32)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.TextKey == nil {
		c.TextKey = textHash
	}
	if c.Held == nil {
		c.Held = func(string, Example, bool) bool { return false }
	}
	var faults []string
	refuse := func(bad bool, text string, args ...any) {
		if bad {
			faults = append(faults, fmt.Sprintf(text, args...))
		}
	}
	check := func(name string, got, limit int) {
		refuse(got < 0 || got > limit, "%s is %d, want at most %d", name, got, limit)
	}
	check("History", c.History, maxHistory)
	check("MaxExamples", c.MaxExamples, maxExamples)
	check("MaxID", c.MaxID, maxID)
	check("MaxText", c.MaxText, maxText)
	refuse(c.MasterKey != nil && len(c.MasterKey) != MasterKeySize, "MasterKey has %d bytes, want %d",
		len(c.MasterKey), MasterKeySize)
	refuse(c.MaxAge < 0, "MaxAge is %v, want 0 or more", c.MaxAge)
	refuse(c.Reserve < 0 || c.Reserve > maxReserve, "Reserve is %d, want at most %d", c.Reserve, int64(maxReserve))
	refuse(c.Timeout < 0, "Timeout is %v, want more than 0", c.Timeout)
	if faults != nil {
		return c, fmt.Errorf("%w: bad options: %v", ErrLimit, faults)
	}
	return c, nil
}
