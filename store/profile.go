package store

import (
	"time"

	"github.com/xpeft/xpeft/bitmask"
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

// beside says whether there is anything to write beside a record.
func (o Write) beside() bool {
	return len(o.Append) > 0 || o.DropExamples || o.Learned > 0 || o.Person != nil
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
