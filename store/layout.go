package store

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// The versions of the layout below; docs/format.md describes it.
const (
	schemaUnsummed        = 1 // without keySums
	schemaUnsummedStaging = 2
	schemaPeopleless      = 3 // without bktPeople and bktWaiting
	schemaStagingOld      = 4
	schemaIndexed         = 5 // with an index adapter → profiles, and without bktCohorts and bktChanges
	schemaStaging         = 6 // 5, while an import into an empty store was under way
	schemaMasks           = 7 // every record is of a version before 3: it has a mask, and no codes
	schema                = 8
)

// staging says whether a file of a schema may have an import into an empty
// store under way: importold.go.
func staging(schema int) bool { return schema < schemaMasks && schema%2 == 0 }

// The buckets of the file, and the tags that seal their values.
var (
	bktMeta     = []byte("meta")     // "store", "tally", "sums", "cohorts", "changed", "import"
	bktValues   = []byte("values")   // key → the caller's value
	bktBanks    = []byte("banks")    // ref → bank
	bktHeads    = []byte("heads")    // ref → digest, head
	bktDigests  = []byte("digests")  // kind, digest → ref
	bktNames    = []byte("names")    // name → ref of a head
	bktIDs      = []byte("ids")      // id, or its HMAC → number
	bktFree     = []byte("free")     // numbers to use again
	bktProfiles = []byte("profiles") // number → record
	bktHistory  = []byte("history")  // number, revision → record
	bktState    = []byte("state")    // number → state
	bktExamples = []byte("examples") // number, sequence → example
	bktPeople   = []byte("people")   // number → person
	bktWaiting  = []byte("waiting")  // number → how many examples wait for a training
	bktCohorts  = []byte("cohorts")  // cohort, number>>16 → set of number&0xffff; not with encryption
	bktChanges  = []byte("changes")  // epoch → backup; epoch, number>>10 → whose profiles were written since
)

var allBuckets = append([][]byte{bktMeta}, summed[:]...)

// bktIndex and keyIndex are of schemaIndexed and before.
var (
	bktIndex = []byte("index")
	keyIndex = []byte("index")
)

// laterBuckets are the last of summed, which older files lack, and the schema
// from which on they are there.
var laterBuckets = map[string]int{"people": schemaIndexed, "waiting": schemaIndexed, "changes": schemaMasks}

const (
	tagMeta    = 'M'
	tagValue   = 'V'
	tagBank    = 'B'
	tagHead    = 'H'
	tagName    = 'N'
	tagState   = 'S'
	tagExample = 'E'
	tagRecord  = 'P' // of encrypted values alone: a record has a checksum of its own
	tagHistory = 'O'
	tagCohort  = 'C'
	tagPerson  = 'U'
	tagWaiting = 'W'
	tagChanges = 'G'
)

var (
	keyStore   = []byte("store")
	keyTally   = []byte("tally")
	keySums    = []byte("sums")
	keyCohorts = []byte("cohorts")
	keyNotes   = []byte("changed")

	keyImport = []byte("import")   // while a bundle is being merged
	keyGone   = []byte("deleted ") // and the key of an id: it was deleted meanwhile
)

// Beyond these no key or value of any bucket is ours.
const (
	maxKey    = 1 << 15
	maxStored = MaxRecord + 1<<10
)

// orderedFill is how full bbolt leaves the pages of keys that come in order:
// the rest is for records that grow. It is 13 records of N=150, L=6 a page,
// and 0.9 would be 12.
const orderedFill = 0.92

// Numbers in keys are big-endian, so that bbolt's order is theirs.

func key32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func key32x64(n uint32, m uint64) []byte {
	return binary.BigEndian.AppendUint64(key32(n), m)
}

// number reads a value or key of four bytes.
func number(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, corrupt("number of %d bytes, want 4", len(b))
	}
	return binary.BigEndian.Uint32(b), nil
}

// tally is what would be slow to count; it is read and written by every
// writing transaction.
type tally struct {
	commits                                    uint64 // changes to profiles, ever
	profiles, recordBytes, maskBytes, examples uint64
	nextNumber, nextBank, nextHead             uint64 // not given out yet
}

func (t *tally) fields() []*uint64 {
	return []*uint64{
		&t.commits, &t.profiles, &t.recordBytes, &t.maskBytes, &t.examples,
		&t.nextNumber, &t.nextBank, &t.nextHead,
	}
}

func readTally(tx *bolt.Tx) (t tally, err error) {
	return decodeTally(tx.Bucket(bktMeta).Get(keyTally))
}

func decodeTally(value []byte) (t tally, err error) {
	payload, err := format.Unseal(tagMeta, keyTally, value)
	if err != nil {
		return t, corrupt("tally: %w", err)
	}
	d := format.Decoder{B: payload}
	for _, f := range t.fields() {
		*f = d.Uvarint("tally")
	}
	return t, d.End()
}

func (t *tally) write(tx *bolt.Tx) error {
	var b []byte
	for _, f := range t.fields() {
		b = binary.AppendUvarint(b, *f)
	}
	return tx.Bucket(bktMeta).Put(keyTally, format.Seal(tagMeta, keyTally, b))
}
