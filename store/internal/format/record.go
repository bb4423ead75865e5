package format

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/xpeft/xpeft/bitmask"
)

// Record is the fields of a store.Profile, which converts into it: what its stored bytes say, and
// Number, which is the key that they are stored under.
type Record struct {
	ID          string
	Number      uint32
	Revision    uint64
	Bank        uint32
	Head        uint32
	OwnHead     []byte
	Mask        *bitmask.Mask
	Codes       []Code
	Affine      []byte
	Prior       []uint32
	Bias        []byte
	Temperature byte
	Created     time.Time
	Updated     time.Time
	Examples    uint32
	Before      float32
	After       float32
}

// A record's bytes are drawn by docs/format.md. All its versions start with recordMagic and the
// version and end with a CRC-32C of everything before. A later version is written only where it is
// needed.
const (
	recordMagic = 'P'
	RecordPlain = 1
	RecordRows  = 2 // a shared head with rows of the profile's own beside it
	RecordCodes = 3 // codes, a temperature, or no mask

	RecordVersion = RecordCodes // the newest
)

const (
	// MaxRecord is the size limit of a record, and of what has its size, as a head.
	MaxRecord = 64 << 20
	// MaxFrame is that of a bundle's frame: of one of these, with a ref and a digest.
	MaxFrame = MaxRecord + 64
)

// EncodeRecord returns the bytes of a record, without Number.
func EncodeRecord(p *Record) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	size := 128 + len(p.ID) + p.MaskBytes() + len(p.OwnHead) + len(p.Affine) + 5*len(p.Prior) + len(p.Bias)
	version := versionOf(p)
	b := append(make([]byte, 0, size), recordMagic, version, recordFlags(p, version))
	b = AppendBytes(b, p.ID)
	b = binary.AppendUvarint(b, p.Revision)
	b = AppendRefs(b, p.Mask != nil, p.Banks(), p.Head)
	if m := p.Mask; m != nil {
		b = append(AppendUvarints(b, m.N, m.K, m.Blocks), m.Bytes()...)
	}
	for i := range p.Codes {
		b = AppendCode(b, &p.Codes[i])
	}
	created := Micros(p.Created)
	b = binary.AppendVarint(b, created)
	b = binary.AppendVarint(b, Micros(p.Updated)-created) // wraps around, and back
	b = binary.AppendUvarint(b, uint64(p.Examples))
	if version >= RecordCodes {
		b = append(b, p.Temperature)
	}
	b = appendOptional(b, p)
	if len(b)+SumSize > MaxRecord {
		return nil, fmt.Errorf("%w: record of %d bytes, at most %d", ErrLimit, len(b)+SumSize, MaxRecord)
	}
	return AppendSum(b), nil
}

// Check says whether there can be a record with these fields.
func (p *Record) Check() error {
	if err := CheckID(p.ID, MaxID); err != nil {
		return err
	}
	err := checkCodes(p.Codes)
	switch {
	case err != nil:
	case p.Mask != nil:
		err = p.Mask.Check()
	case p.Bank != 0:
		err = fmt.Errorf("it has bank %d, and no mask", p.Bank)
	}
	if err != nil {
		return fmt.Errorf("store: profile %q: %w", p.ID, err)
	}
	return nil
}

func versionOf(p *Record) byte {
	switch {
	case p.Mask == nil || len(p.Codes) > 0 || p.Temperature != 0:
		return RecordCodes
	case p.Head != 0 && len(p.OwnHead) > 0:
		return RecordRows
	}
	return RecordPlain
}

// A MaskReader makes a mask of its dimensions and rows: bitmask.Decode or View, or MaskShape, as
// the rows take half of the time that a record does.
type MaskReader func(n, k, blocks int, rows []byte) (*bitmask.Mask, error)

// MaskShape makes a mask without rows.
func MaskShape(n, k, blocks int, _ []byte) (*bitmask.Mask, error) {
	return &bitmask.Mask{N: n, K: k, Blocks: blocks}, nil
}

// DecodeRecord reads a record's bytes in the place of what p was, and says where the refs are. But
// for the mask p shares no memory with b. Without an error EncodeRecord makes the same bytes of p.
func DecodeRecord(p *Record, b []byte, mask MaskReader) (r Refs, err error) {
	d, flags, err := openRecord(b)
	if err != nil {
		return r, err
	}
	r = d.refs(len(b), flags)
	*p = Record{ID: string(r.ID), Revision: r.revision, Head: r.Head}
	if d.Err == nil && CheckID(p.ID, MaxID) != nil {
		d.Fail("id %q is not allowed", p.ID)
	}
	d.rows(p, r, mask)
	created := d.Varint("created")
	updated := created + d.Varint("updated")
	p.Created, p.Updated = d.Time(created, "created"), d.Time(updated, "updated")
	p.Examples = uint32(d.Uint(math.MaxUint32, "examples"))
	if b[1] >= RecordCodes {
		if t := d.Take(1, "temperature"); d.Err == nil {
			p.Temperature = t[0]
		}
	}
	d.optional(p, flags)
	if d.Err == nil && b[1] != versionOf(p) {
		d.Fail("record version %d, want %d for what is in it", b[1], versionOf(p))
	}
	return r, d.End()
}

// openRecord checks a record's frame, and returns a decoder of what is in it.
func openRecord(b []byte) (d Decoder, flags byte, err error) {
	at := len(b) - SumSize
	if at < 3 || len(b) > MaxRecord {
		return d, 0, Corrupt("record of %d bytes", len(b))
	}
	if got, want := binary.LittleEndian.Uint32(b[at:]), crc32.Checksum(b[:at], Castagnoli); got != want {
		return d, 0, Corrupt("record's checksum is %08x, want %08x", got, want)
	}
	magic, version, flags := b[0], b[1], b[2]
	switch {
	case magic != recordMagic || version == 0:
		return d, 0, Corrupt("record starts with %x", b[:2])
	case version > RecordVersion:
		return d, 0, fmt.Errorf("%w: record version %d, this one reads up to %d", ErrSchema, version, RecordVersion)
	case version < RecordCodes && flags&^optionalFlags != 0, flags/codesFlag > MaxCodes:
		return d, 0, Corrupt("record has unknown flags %02x", flags)
	case version < RecordCodes:
		flags |= hasMask
	}
	return Decoder{B: b[3:at]}, flags, nil
}

func (d *Decoder) rows(p *Record, r Refs, mask MaskReader) {
	banks := r.Banks
	if r.masked {
		p.Bank, banks = banks[0], banks[1:]
		p.Mask = d.mask(mask)
	}
	for _, bank := range banks {
		p.Codes = append(p.Codes, Code{Bank: bank})
		d.code(&p.Codes[len(p.Codes)-1])
	}
	if d.Err == nil {
		if err := checkCodes(p.Codes); err != nil {
			d.Fail("%w", err)
		}
	}
}

// mask reads the three dimensions and the rows.
func (d *Decoder) mask(make MaskReader) *bitmask.Mask {
	n := int(d.Uint(bitmask.MaxAdapters, "mask's N"))
	k := int(d.Uint(bitmask.MaxAdapters, "mask's k"))
	blocks := int(d.Uint(bitmask.MaxBlocks, "mask's L"))
	rows := d.Take(uint64(bitmask.Size(n, blocks)), "mask")
	if d.Err != nil {
		return nil
	}
	m, err := make(n, k, blocks, rows)
	if err != nil {
		d.Fail("%w", err)
	}
	return m
}

func (d *Decoder) optional(p *Record, flags byte) {
	if flags&hasScores != 0 {
		if scores := d.Take(8, "scores"); d.Err == nil {
			p.Before = math.Float32frombits(binary.LittleEndian.Uint32(scores))
			p.After = math.Float32frombits(binary.LittleEndian.Uint32(scores[4:]))
			if binary.LittleEndian.Uint64(scores) == 0 {
				d.Fail("scores: present but zero")
			}
		}
	}
	field := func(flag byte, what string) []byte {
		if flags&flag == 0 {
			return nil
		}
		b := d.Bytes(MaxRecord, what)
		if d.Err == nil && len(b) == 0 {
			d.Fail("%s: present but empty", what)
		}
		return bytes.Clone(b)
	}
	p.OwnHead = field(hasOwnHead, "own head")
	p.Affine = field(hasAffine, "affine")
	if flags&hasPrior != 0 {
		p.Prior = d.prior()
	}
	p.Bias = field(hasBias, "bias")
}

func (d *Decoder) prior() []uint32 {
	n := d.Uint(uint64(len(d.B)), "prior's length") // each count is a byte or more
	if d.Err == nil && n == 0 {
		d.Fail("prior: present but empty")
	}
	prior := make([]uint32, 0, n)
	for range n {
		prior = append(prior, uint32(d.Uint(math.MaxUint32, "prior")))
	}
	return slices.Clip(prior)
}

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
func (d *Decoder) refs(size int, flags byte) (r Refs) {
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
