package store

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// summed are the buckets whose keys the file knows sums of, so that Check
// misses each key that a damaged page lost. Cohorts are compared with the records,
// and what an import stages is lost with it.
var summed = [...][]byte{
	bktValues, bktBanks, bktHeads, bktDigests, bktNames, bktIDs,
	bktFree, bktProfiles, bktHistory, bktState, bktExamples,
	bktPeople, bktWaiting, bktChanges,
}

// sum is how many keys there are, and their hashes together.
type sum struct{ keys, hashes uint64 }

func (s *sum) add(key []byte) {
	s.keys++
	s.hashes ^= hashKey(key)
}

func (s *sum) remove(key []byte) {
	s.keys--
	s.hashes ^= hashKey(key)
}

// hashKey is FNV-1a of 64 bits, mixed by MurmurHash3's last step: without that
// the hashes of numbers that follow each other would differ in few ways, and
// cancel out.
func hashKey(key []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range key {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// sums are those of the buckets in summed.
type sums [len(summed)]sum

func (s *sums) of(name []byte) *sum {
	for i, n := range summed {
		if string(n) == string(name) {
			return &s[i]
		}
	}
	return nil
}

func readSums(tx *bolt.Tx) (s sums, err error) {
	return decodeSums(tx.Bucket(bktMeta).Get(keySums))
}

func decodeSums(value []byte) (s sums, err error) {
	payload, err := format.Unseal(tagMeta, keySums, value)
	if err != nil {
		return s, corrupt("sums: %w", err)
	}
	d := format.Decoder{B: payload}
	for i := range s {
		if len(d.B) == 0 && i >= len(s)-len(laterBuckets) {
			break // of a file without these buckets
		}
		s[i].keys = d.Uvarint("sums")
		if b := d.Take(8, "sums"); d.Err == nil {
			s[i].hashes = binary.LittleEndian.Uint64(b)
		}
	}
	return s, d.End()
}

func (s *sums) write(tx *bolt.Tx) error {
	b := make([]byte, 0, 16*len(s))
	for _, one := range s {
		b = binary.AppendUvarint(b, one.keys)
		b = binary.LittleEndian.AppendUint64(b, one.hashes)
	}
	return tx.Bucket(bktMeta).Put(keySums, format.Seal(tagMeta, keySums, b))
}

func countSums(tx *bolt.Tx) (s sums, err error) {
	for i, name := range summed {
		err := readBucket{tx.Bucket(name)}.ForEach(func(k, _ []byte) error {
			s[i].add(k)
			return nil
		})
		if err != nil {
			return s, fmt.Errorf("bucket %q: %w", name, err)
		}
	}
	return s, nil
}

// upgrade makes a file of an older version one of this version, and makes the
// cohorts anew if the file was last written under other options, in one
// transaction: a crash leaves the old file or the new one. In memory are the sets
// alone, two bytes for each number in each of them at most.
func (s *Store) upgrade() error {
	kept := s.meta.Keys != ""
	err := s.readPages(func(tx *bolt.Tx) error {
		kept = kept || s.rules.kept(tx)
		return nil
	})
	if err != nil || kept && s.meta.Schema == schema {
		return err
	}
	s.opts.Logger.Info("upgrading the file, or its cohorts of profiles", "schema", s.meta.Schema, "to", schema)
	return boltError(s.writePages(func(tx *bolt.Tx) error {
		if s.meta.Schema < schemaMasks {
			if err := s.upgradeBuckets(tx); err != nil {
				return err
			}
		}
		if !kept {
			if err := s.makeCohorts(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Bucket(bktMeta).NextSequence(); err != nil { // the revision
			return err
		}
		m := s.meta
		m.Schema = schema
		return writeMeta(tx, m)
	}))
}

// upgradeBuckets makes the buckets of a file before schemaMasks those of now.
func (s *Store) upgradeBuckets(tx *bolt.Tx) (err error) {
	var sums sums
	if s.meta.Schema <= schemaUnsummedStaging {
		sums, err = countSums(tx)
	} else {
		sums, err = readSums(tx)
	}
	if err != nil {
		return err
	}
	for later := range laterBuckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(later)); err != nil {
			return err
		}
	}
	if err := sums.write(tx); err != nil {
		return err
	}
	if tx.Bucket(bktIndex) != nil {
		if err := tx.DeleteBucket(bktIndex); err != nil {
			return err
		}
	}
	return tx.Bucket(bktMeta).Delete(keyIndex)
}
