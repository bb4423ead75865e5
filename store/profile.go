package store

import (
	"time"

	"github.com/xpeft/xpeft/bitmask"
)

// Profile is one profile as stored. Values that the store returns are the
// caller's own: nothing in them points into the file.
type Profile struct {
	ID       string // 1 to Options.MaxID bytes of UTF-8
	Number   uint32 // dense number of the id; set by the store
	Revision uint64 // 1, 2, …; set by the store
	Bank     uint32 // ref from PutBank
	Head     uint32 // ref from PutHead; 0: OwnHead, or none
	OwnHead  []byte // opaque; nil unless Head is 0
	Mask     *bitmask.Mask
	Affine   []byte    // opaque; nil: the bank's default
	Prior    []uint32  // examples of each label; nil: none
	Bias     []byte    // opaque; nil: none
	Created  time.Time // set by the first Put if zero
	Updated  time.Time // set by Put
	Examples uint32    // examples that the mask was learned from
	Before   float32   // score on held-out examples before the last Learn
	After    float32   // … and after it
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
}

// Example is one text that a profile was given, with its label.
type Example struct {
	Text, Pair, Label string
	Time              time.Time
}
