package store

import (
	"fmt"
	"time"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store/internal/format"
)

// Profile is one profile as stored. Values that the store returns are the
// caller's own: nothing in them points into the file.
type Profile struct {
	ID       string        // 1 to Options.MaxID bytes of UTF-8
	Number   uint32        // dense number of the id; set by the store
	Revision uint64        // 1, 2, …; set by the store
	Bank     uint32        // of Mask: ref from PutBank; 0 without one
	Head     uint32        // ref from PutHead; 0: OwnHead, or none
	OwnHead  []byte        // opaque: a head, or beside a shared one rows of the profile's own; nil: none
	Mask     *bitmask.Mask // nil: none
	Codes    []Code        // at most two, over different banks
	Affine   []byte        // opaque; nil: the bank's default
	Prior    []uint32      // examples of each label; nil: none
	Bias     []byte        // opaque; nil: none
	// Temperature is opaque; 0: none. Like Codes, or no Mask, it takes a record that
	// programs before schema 8 cannot read.
	Temperature byte
	Created     time.Time // set by the first Put if zero
	Updated     time.Time // set by Put
	Examples    uint32    // examples that the mask or the codes were learned from
	Before      float32   // score before the last Learn, on examples that were not learned from
	After       float32   // … and after it
}

// Code is rows of a profile's own over a bank of pairs: one for each label of its
// head that it uses. A row takes one adapter of each pair, so that it is k-hot with
// k = N/2, and is stored as k bits (bitmask.PairRow), with a byte that says its scale.
// Its fields are Bank, the ref of the bank, whose N is 2·K; K, the bits of a row;
// Labels, which labels of the head have a row, one at least, ascending; and for each of
// these ⌈K/8⌉ bytes of Rows and one of Scales, none of which is 0.
type Code = format.Code

// EncodeProfile returns p's record. Number is not in it: it is the key that
// the record is stored under.
func EncodeProfile(p *Profile) ([]byte, error) { return format.EncodeRecord(p.record()) }

// DecodeProfile reads a record. Whatever the bytes, it returns an error or a
// profile that EncodeProfile makes the same bytes of; the profile shares no
// memory with b.
func DecodeProfile(b []byte) (*Profile, error) {
	p := &Profile{}
	if _, err := format.DecodeRecord(p.record(), b, bitmask.Decode); err != nil {
		return nil, err
	}
	return p, nil
}

// MaskBytes is how many bytes of the record are rows, of the mask and of codes.
func (p *Profile) MaskBytes() int { return p.record().MaskBytes() }

// banks are the refs of those that p is over: its mask's, then its codes'.
func (p *Profile) banks() []uint32 { return p.record().Banks() }

func (p *Profile) record() *format.Record { return (*format.Record)(p) }

// overBanks says whether there are the banks that p is over, and its mask and its
// codes fit them.
func (p *Profile) overBanks(bank func(ref uint32) (BankInfo, error)) error {
	if m := p.Mask; m != nil {
		info, err := bank(p.Bank)
		if err != nil {
			return err
		}
		if m.N != info.N || m.Blocks != info.Blocks {
			return fmt.Errorf("%w: mask of N=%d L=%d, bank %d has N=%d L=%d", ErrMismatch, m.N, m.Blocks, p.Bank,
				info.N, info.Blocks)
		}
	}
	for _, c := range p.Codes {
		info, err := bank(c.Bank)
		if err != nil {
			return err
		}
		if info.N != 2*c.K {
			return fmt.Errorf("%w: code of K=%d, bank %d has N=%d", ErrMismatch, c.K, c.Bank, info.N)
		}
	}
	return nil
}

// bankOf finds a bank by its ref, for overBanks.
func bankOf(banks map[uint32]BankInfo) func(ref uint32) (BankInfo, error) {
	return func(ref uint32) (BankInfo, error) {
		info, ok := banks[ref]
		if !ok {
			return info, fmt.Errorf("no bank %d", ref)
		}
		return info, nil
	}
}

// Write is what Put stores beside the profile's record, in one transaction.
type Write struct {
	// IfRevision makes Put fail with ErrConflict unless the profile is at
	// this revision now; 0 means that it must not exist.
	IfRevision *uint64
	// State replaces the profile's state; nil leaves it as it is.
	State []byte
	// DropState erases the state.
	DropState bool
	// Append is added to the profile's examples.
	Append []Example
	// DropExamples erases the examples stored before.
	DropExamples bool
	// DropHistory erases the earlier revisions, the one that Put replaces too.
	// With encryption the profile gets a new key, and the old one is overwritten
	// before Put returns.
	DropHistory bool
	// Learned says that the examples of a lower Sequence were trained on.
	Learned uint64
	// Person changes what is known of the person, in place. It may run more
	// than once, each time from what is stored.
	Person func(*Person)
	// Values changes values of PutMeta in the same transaction: each function
	// gets the old value, nil if there is none, and returns the new one.
	Values map[string]func(old []byte) []byte
}

// Example is one text that a profile was given, with its label. Examples of a
// profile that have one Key are of one text: the later replaces the earlier,
// except that a rejection leaves one with another label where it is.
type Example struct {
	Text, Pair, Label string
	Time              time.Time
	Rejected          bool    // the text is not of this label
	Weight            float32 // in training; 0: 1

	// What the store sets when it takes an example in.
	Sequence uint64 // rises with each example of the profile
	Key      uint64 // Options.TextKey of the text and pair
	Held     bool   // kept back from training, for its life: Options.Held
	Known    bool   // a training has seen it; who appends may set it
}

// HeldOut says whether an example is measured on and never trained on. A
// rejection is trained on, whatever side its text is on: it has no right answer.
func (e Example) HeldOut() bool { return e.Held && !e.Rejected }
