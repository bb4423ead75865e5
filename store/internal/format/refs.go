package format

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// Refs are the beginning of a record: its id, a view, and its refs, with their place.
type Refs struct {
	ID       []byte
	Banks    []uint32 // the mask's, then those of codes
	Head     uint32
	revision uint64
	masked   bool // the first of Banks is the mask's
	at, end  int
}

// refs reads the beginning of a record of a size.
func (d *recordDecoder) refs(size int, flags byte) (r Refs) {
	ref := func(what string) uint32 { return uint32(d.Uint(math.MaxUint32, what)) }
	r.ID, r.revision = d.Bytes(MaxID, "id"), d.Uvarint("revision")
	r.at = size - SumSize - len(d.B)
	if r.masked = flags&hasMask != 0; r.masked {
		r.Banks = append(r.Banks, ref("bank"))
	}
	r.Head = ref("head")
	for range flags / codesFlag {
		r.Banks = append(r.Banks, ref("code's bank"))
	}
	r.end = size - SumSize - len(d.B)
	return r
}

// ReadRefs checks a record's frame and reads its refs. What comes after them
// it does not look at.
func ReadRefs(b []byte) (r Refs, err error) {
	d, flags, err := openRecord(b)
	if err == nil {
		r = d.refs(len(b), flags)
	}
	return r, cmp.Or(err, d.Err)
}

// Replaced returns the record with other refs: what EncodeRecord makes of
// the same fields with them.
func (r Refs) Replaced(record []byte, banks []uint32, head uint32) []byte {
	if slices.Equal(banks, r.Banks) && head == r.Head {
		return record
	}
	b := append(make([]byte, 0, len(record)+20), record[:r.at]...)
	b = AppendRefs(b, r.masked, banks, head)
	b = append(b, record[r.end:len(record)-SumSize]...)
	return AppendSum(b)
}

// AppendRefs appends the ref of the mask's bank, if there is a mask, of the head,
// and of the other banks.
func AppendRefs(b []byte, masked bool, banks []uint32, head uint32) []byte {
	if masked {
		b, banks = binary.AppendUvarint(b, uint64(banks[0])), banks[1:]
	}
	return AppendUvarints(binary.AppendUvarint(b, uint64(head)), banks...)
}
