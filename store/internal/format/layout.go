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

// Tally is what would be slow to count; it is read and written by every writing transaction.
type Tally struct {
	Commits                                    uint64 // changes to profiles, ever
	Profiles, RecordBytes, MaskBytes, Examples uint64
	NextNumber, NextBank, NextHead             uint64 // not given out yet
}

func (t *Tally) fields() []*uint64 {
	return []*uint64{
		&t.Commits, &t.Profiles, &t.RecordBytes, &t.MaskBytes, &t.Examples,
		&t.NextNumber, &t.NextBank, &t.NextHead,
	}
}

// DecodeTally reads the value of KeyTally.
func DecodeTally(value []byte) (t Tally, err error) {
	payload, err := Unseal(TagMeta, KeyTally, value)
	if err != nil {
		return t, Corrupt("tally: %w", err)
	}
	d := Decoder{B: payload}
	for _, f := range t.fields() {
		*f = d.Uvarint("tally")
	}
	return t, d.End()
}

// Encode is what DecodeTally reads.
func (t *Tally) Encode() []byte {
	var b []byte
	for _, f := range t.fields() {
		b = binary.AppendUvarint(b, *f)
	}
	return Seal(TagMeta, KeyTally, b)
}

// Sum is how many keys a bucket has, and their hashes together.
type Sum struct{ Keys, Hashes uint64 }

// Add adds a key.
func (s *Sum) Add(key []byte) {
	s.Keys++
	s.Hashes ^= HashKey(key)
}

// Remove takes a key away.
func (s *Sum) Remove(key []byte) {
	s.Keys--
	s.Hashes ^= HashKey(key)
}

// HashKey is FNV-1a of 64 bits, mixed by MurmurHash3's last step: without that the hashes of
// numbers that follow each other would differ in few ways, and cancel out.
func HashKey(key []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range key {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Sums are those of the buckets in Summed.
type Sums [len(Summed)]Sum

// Of is the sum of a bucket, nil if it has none.
func (s *Sums) Of(name []byte) *Sum {
	for i, n := range Summed {
		if string(n) == string(name) {
			return &s[i]
		}
	}
	return nil
}

// DecodeSums reads the value of KeySums.
func DecodeSums(value []byte) (s Sums, err error) {
	payload, err := Unseal(TagMeta, KeySums, value)
	if err != nil {
		return s, Corrupt("sums: %w", err)
	}
	d := Decoder{B: payload}
	for i := range s {
		if len(d.B) == 0 && i >= len(s)-len(LaterBuckets) {
			break // of a file without these buckets
		}
		s[i].Keys = d.Uvarint("sums")
		if b := d.Take(8, "sums"); d.Err == nil {
			s[i].Hashes = binary.LittleEndian.Uint64(b)
		}
	}
	return s, d.End()
}

// Encode is what DecodeSums reads.
func (s *Sums) Encode() []byte {
	b := make([]byte, 0, 16*len(s))
	for _, one := range s {
		b = binary.AppendUvarint(b, one.Keys)
		b = binary.LittleEndian.AppendUint64(b, one.Hashes)
	}
	return Seal(TagMeta, KeySums, b)
}
