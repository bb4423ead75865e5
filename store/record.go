package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store/internal/format"
)

// A record is a profile's stored bytes; docs/format.md draws them. All its
// versions start with recordMagic and the version and end with a CRC-32C of
// everything before. A later version is written only where it is needed.
const (
	recordMagic   = 'P'
	recordPlain   = 1
	recordRows    = 2 // a shared head with rows of the profile's own beside it
	recordVersion = 3 // codes, a temperature, or no mask
)

// Flags of a record: which of the optional fields follow.
const (
	hasScores = 1 << iota
	hasOwnHead
	hasAffine
	hasPrior
	hasBias
	hasMask   // of version 3; the others always have one
	codesFlag // the upper two bits, of version 3, are how many codes there are
)

const optionalFlags = hasScores | hasOwnHead | hasAffine | hasPrior | hasBias

// EncodeProfile returns p's record. Number is not in it: it is the key that
// the record is stored under.
func EncodeProfile(p *Profile) ([]byte, error) {
	if err := checkRecord(p); err != nil {
		return nil, err
	}
	size := 128 + len(p.ID) + p.MaskBytes() + len(p.OwnHead) + len(p.Affine) + 5*len(p.Prior) + len(p.Bias)
	version := versionOf(p)
	b := append(make([]byte, 0, size), recordMagic, version, recordFlags(p, version))
	b = format.AppendBytes(b, p.ID)
	b = binary.AppendUvarint(b, p.Revision)
	b = appendRefs(b, p.Mask != nil, p.banks(), p.Head)
	if m := p.Mask; m != nil {
		b = append(format.AppendUvarints(b, m.N, m.K, m.Blocks), m.Bytes()...)
	}
	for i := range p.Codes {
		b = appendCode(b, &p.Codes[i])
	}
	created := format.Micros(p.Created)
	b = binary.AppendVarint(b, created)
	b = binary.AppendVarint(b, format.Micros(p.Updated)-created) // wraps around, and back
	b = binary.AppendUvarint(b, uint64(p.Examples))
	if version == recordVersion {
		b = append(b, p.Temperature)
	}
	b = appendOptional(b, p)
	if len(b)+format.SumSize > MaxRecord {
		return nil, fmt.Errorf("%w: record of %d bytes, at most %d", ErrLimit, len(b)+format.SumSize, MaxRecord)
	}
	return format.AppendSum(b), nil
}

func checkRecord(p *Profile) error {
	if err := checkID(p.ID, maxID); err != nil {
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

// appendRefs appends the ref of the mask's bank, if there is a mask, of the head,
// and of the other banks.
func appendRefs(b []byte, masked bool, banks []uint32, head uint32) []byte {
	if masked {
		b, banks = binary.AppendUvarint(b, uint64(banks[0])), banks[1:]
	}
	return format.AppendUvarints(binary.AppendUvarint(b, uint64(head)), banks...)
}

// versionOf is the version of p's record.
func versionOf(p *Profile) byte {
	switch {
	case p.Mask == nil || len(p.Codes) > 0 || p.Temperature != 0:
		return recordVersion
	case p.Head != 0 && len(p.OwnHead) > 0:
		return recordRows
	}
	return recordPlain
}

func recordFlags(p *Profile, version byte) (flags byte) {
	set := func(flag byte, present bool) {
		if present {
			flags |= flag
		}
	}
	set(hasScores, math.Float32bits(p.Before)|math.Float32bits(p.After) != 0)
	set(hasOwnHead, len(p.OwnHead) > 0)
	set(hasAffine, len(p.Affine) > 0)
	set(hasPrior, len(p.Prior) > 0)
	set(hasBias, len(p.Bias) > 0)
	if version == recordVersion {
		set(hasMask, p.Mask != nil)
		flags += codesFlag * byte(len(p.Codes))
	}
	return flags
}

func appendOptional(b []byte, p *Profile) []byte {
	flags := recordFlags(p, recordPlain)
	if flags&hasScores != 0 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.Before))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.After))
	}
	if flags&hasOwnHead != 0 {
		b = format.AppendBytes(b, p.OwnHead)
	}
	if flags&hasAffine != 0 {
		b = format.AppendBytes(b, p.Affine)
	}
	if flags&hasPrior != 0 {
		b = format.AppendUvarints(binary.AppendUvarint(b, uint64(len(p.Prior))), p.Prior...)
	}
	if flags&hasBias != 0 {
		b = format.AppendBytes(b, p.Bias)
	}
	return b
}

// DecodeProfile reads a record. Whatever the bytes, it returns an error or a
// profile that EncodeProfile makes the same bytes of; the profile shares no
// memory with b.
func DecodeProfile(b []byte) (*Profile, error) {
	p := &Profile{}
	if _, err := decodeRecord(p, b, bitmask.Decode); err != nil {
		return nil, err
	}
	return p, nil
}

// maskReader makes a mask of its dimensions and rows: bitmask.Decode or View, or
// maskShape, as the rows take half of the time that a record does.
type maskReader func(n, k, blocks int, rows []byte) (*bitmask.Mask, error)

func maskShape(n, k, blocks int, _ []byte) (*bitmask.Mask, error) {
	return &bitmask.Mask{N: n, K: k, Blocks: blocks}, nil
}

// decodeRecord is DecodeProfile with a mask of the caller's kind, in the place of
// what p was, and says where the refs are.
func decodeRecord(p *Profile, b []byte, mask maskReader) (r recordRefs, err error) {
	d, flags, err := openRecord(b)
	if err != nil {
		return r, err
	}
	r = d.refs(len(b), flags)
	*p = Profile{ID: string(r.id), Revision: r.revision, Head: r.head}
	if d.Err == nil && checkID(p.ID, maxID) != nil {
		d.Fail("id %q is not allowed", p.ID)
	}
	d.rows(p, r, mask)
	created := d.Varint("created")
	updated := created + d.Varint("updated")
	p.Created, p.Updated = d.Time(created, "created"), d.Time(updated, "updated")
	p.Examples = uint32(d.Uint(math.MaxUint32, "examples"))
	if b[1] == recordVersion {
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

// recordDecoder reads the fields of a record.
type recordDecoder struct{ format.Decoder }

// openRecord checks a record's frame, and returns a decoder of what is in it.
func openRecord(b []byte) (d recordDecoder, flags byte, err error) {
	at := len(b) - format.SumSize
	if at < 3 || len(b) > MaxRecord {
		return d, 0, corrupt("record of %d bytes", len(b))
	}
	if got, want := binary.LittleEndian.Uint32(b[at:]), crc32.Checksum(b[:at], format.Castagnoli); got != want {
		return d, 0, corrupt("record's checksum is %08x, want %08x", got, want)
	}
	magic, version, flags := b[0], b[1], b[2]
	switch {
	case magic != recordMagic || version == 0:
		return d, 0, corrupt("record starts with %x", b[:2])
	case version > recordVersion:
		return d, 0, fmt.Errorf("%w: record version %d, this one reads up to %d", ErrSchema, version, recordVersion)
	case version < recordVersion && flags&^optionalFlags != 0, flags/codesFlag > maxCodes:
		return d, 0, corrupt("record has unknown flags %02x", flags)
	case version < recordVersion:
		flags |= hasMask
	}
	return recordDecoder{format.Decoder{B: b[3:at]}}, flags, nil
}

// rows reads the mask and the codes.
func (d *recordDecoder) rows(p *Profile, r recordRefs, mask maskReader) {
	banks := r.banks
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
func (d *recordDecoder) mask(make maskReader) *bitmask.Mask {
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

func (d *recordDecoder) optional(p *Profile, flags byte) {
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

func (d *recordDecoder) prior() []uint32 {
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

// recordRefs are the beginning of a record: its id, a view, and its refs, with
// their place.
type recordRefs struct {
	id       []byte
	revision uint64
	masked   bool     // the first of banks is the mask's
	banks    []uint32 // as Profile.banks gives them
	head     uint32
	at, end  int
}

// refs reads the beginning of a record of a size.
func (d *recordDecoder) refs(size int, flags byte) (r recordRefs) {
	ref := func(what string) uint32 { return uint32(d.Uint(math.MaxUint32, what)) }
	r.id, r.revision = d.Bytes(maxID, "id"), d.Uvarint("revision")
	r.at = size - format.SumSize - len(d.B)
	if r.masked = flags&hasMask != 0; r.masked {
		r.banks = append(r.banks, ref("bank"))
	}
	r.head = ref("head")
	for range flags / codesFlag {
		r.banks = append(r.banks, ref("code's bank"))
	}
	r.end = size - format.SumSize - len(d.B)
	return r
}

// readRefs checks a record's frame and reads its refs. What comes after them
// it does not look at.
func readRefs(b []byte) (r recordRefs, err error) {
	d, flags, err := openRecord(b)
	if err == nil {
		r = d.refs(len(b), flags)
	}
	return r, cmp.Or(err, d.Err)
}

// replaced returns the record with other refs: what EncodeProfile makes of
// the same profile with them.
func (r recordRefs) replaced(record []byte, banks []uint32, head uint32) []byte {
	if slices.Equal(banks, r.banks) && head == r.head {
		return record
	}
	b := append(make([]byte, 0, len(record)+20), record[:r.at]...)
	b = appendRefs(b, r.masked, banks, head)
	b = append(b, record[r.end:len(record)-format.SumSize]...)
	return format.AppendSum(b)
}

// checkID says whether an id is UTF-8 of 1 to limit bytes.
func checkID(id string, limit int) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: empty", ErrID)
	case len(id) > limit:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrID, len(id), limit)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: %q is not UTF-8", ErrID, id)
	}
	return nil
}
