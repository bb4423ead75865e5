package format

import "encoding/binary"

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
