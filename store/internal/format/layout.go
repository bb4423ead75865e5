package format

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The versions of the layout below; docs/format.md describes it.
const (
	SchemaUnsummed        = 1 // without KeySums
	SchemaUnsummedStaging = 2
	SchemaPeopleless      = 3 // without People and Waiting
	SchemaStagingOld      = 4
	SchemaIndexed         = 5 // with an index adapter → profiles, and without Cohorts and Changes
	SchemaStaging         = 6 // 5, while an import into an empty store was under way
	SchemaMasks           = 7 // every record is of a version before 3: it has a mask, and no codes
	Schema                = 8
)

// MayStage says whether a file of a schema may have an import into an empty store under way.
func MayStage(schema int) bool { return schema < SchemaMasks && schema%2 == 0 }

// The buckets of the file, by their names.
var (
	Meta     = []byte("meta")     // "store", "tally", "sums", "cohorts", "changed", "import"
	Values   = []byte("values")   // key → the caller's value
	Banks    = []byte("banks")    // ref → bank
	Heads    = []byte("heads")    // ref → digest, head
	Digests  = []byte("digests")  // kind, digest → ref
	Names    = []byte("names")    // name → ref of a head
	IDs      = []byte("ids")      // id, or its HMAC → number
	Free     = []byte("free")     // numbers to use again
	Profiles = []byte("profiles") // number → record
	History  = []byte("history")  // number, revision → record
	State    = []byte("state")    // number → state
	Examples = []byte("examples") // number, sequence → example
	People   = []byte("people")   // number → person
	Waiting  = []byte("waiting")  // number → how many examples wait for a training
	Cohorts  = []byte("cohorts")  // cohort, number>>16 → set of number&0xffff; not with encryption
	Changes  = []byte("changes")  // epoch → backup; epoch, number>>10 → whose profiles were written since
)

// Buckets of older files alone: one up to SchemaIndexed, and what an import staged.
var (
	Index   = []byte("index")
	Staging = []byte("staging")
	Merge   = []byte("merge")
)

// Summed are the buckets whose keys the file knows sums of, so that a key that a damaged page lost
// is missed. Cohorts are compared with the records.
var Summed = [...][]byte{
	Values, Banks, Heads, Digests, Names, IDs,
	Free, Profiles, History, State, Examples,
	People, Waiting, Changes,
}

// Buckets are those that a new file has, but for Cohorts.
var Buckets = append([][]byte{Meta}, Summed[:]...)

// LaterBuckets are the last of Summed, which older files lack, and the schema from which on they
// are there.
var LaterBuckets = map[string]int{"people": SchemaIndexed, "waiting": SchemaIndexed, "changes": SchemaMasks}

// OfProfiles says whether the keys of a bucket begin with a profile's number.
func OfProfiles(bucket []byte) bool {
	return slices.ContainsFunc([][]byte{Profiles, History, State, Examples, People, Waiting},
		func(name []byte) bool { return bytes.Equal(name, bucket) })
}

// The tags that seal the values of a bucket.
const (
	TagMeta    = 'M'
	TagValue   = 'V'
	TagBank    = 'B'
	TagHead    = 'H'
	TagName    = 'N'
	TagState   = 'S'
	TagExample = 'E'
	TagRecord  = 'P' // of encrypted values alone: a record has a checksum of its own
	TagHistory = 'O'
	TagCohort  = 'C'
	TagPerson  = 'U'
	TagWaiting = 'W'
	TagChanges = 'G'
)

// The keys of Meta.
var (
	KeyStore   = []byte("store")
	KeyTally   = []byte("tally")
	KeySums    = []byte("sums")
	KeyCohorts = []byte("cohorts")
	KeyNotes   = []byte("changed")

	KeyImport = []byte("import")   // while a bundle is being merged
	KeyGone   = []byte("deleted ") // and the key of an id: it was deleted meanwhile

	KeyIndex = []byte("index") // up to SchemaIndexed
)

// Beyond these no key or value of any bucket is ours.
const (
	MaxKey    = 1 << 15
	MaxStored = MaxRecord + 1<<10
)

// Key is a number as a key or value: big-endian, so that bbolt's order is the numbers'.
func Key(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// KeyAt is a number and a revision or sequence.
func KeyAt(n uint32, at uint64) []byte { return binary.BigEndian.AppendUint64(Key(n), at) }

// Number reads a Key.
func Number(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, Corrupt("number of %d bytes, want 4", len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}
