package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/xpeft/xpeft/bitmask"
)

// A record is a profile's stored bytes; docs/format.md draws them. All its
// versions start with recordMagic and the version and end with a CRC-32C of
// everything before. The later version is written only where it is needed, so
// that who has the earlier one reads the rest.
const (
	recordMagic   = 'P'
	recordPlain   = 1
	recordVersion = 2 // a shared head with rows of the profile's own beside it
)

// Flags of a record: which of the optional fields follow.
const (
	hasScores = 1 << iota
	hasOwnHead
	hasAffine
	hasPrior
	hasBias
)

const allFlags = hasScores | hasOwnHead | hasAffine | hasPrior | hasBias

// EncodeProfile returns p's record. Number is not in it: it is the key that
// the record is stored under.
func EncodeProfile(p *Profile) ([]byte, error) {
	if err := checkRecord(p); err != nil {
		return nil, err
	}
	mask := p.Mask.Bytes()
	size := 96 + len(p.ID) + len(mask) + len(p.OwnHead) + len(p.Affine) + 5*len(p.Prior) + len(p.Bias)
	b := append(make([]byte, 0, size), recordMagic, versionOf(p), recordFlags(p))
	b = appendBytes(b, p.ID)
	b = binary.AppendUvarint(b, p.Revision)
	for _, v := range [...]uint32{p.Bank, p.Head, uint32(p.Mask.N), uint32(p.Mask.K), uint32(p.Mask.Blocks)} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	b = append(b, mask...)
	created := micros(p.Created)
	b = binary.AppendVarint(b, created)
	b = binary.AppendVarint(b, micros(p.Updated)-created) // wraps around, and back
	b = binary.AppendUvarint(b, uint64(p.Examples))
	b = appendOptional(b, p)
	if len(b)+crcSize > MaxRecord {
		return nil, fmt.Errorf("%w: record of %d bytes, at most %d", ErrLimit, len(b)+crcSize, MaxRecord)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

func checkRecord(p *Profile) error {
	if err := checkID(p.ID, maxID); err != nil {
		return err
	}
	if p.Mask == nil {
		return fmt.Errorf("store: profile %q has no mask", p.ID)
	}
	if err := p.Mask.Check(); err != nil {
		return fmt.Errorf("store: profile %q: %w", p.ID, err)
	}
	return nil
}

// versionOf is the version of p's record.
func versionOf(p *Profile) byte {
	if p.Head != 0 && len(p.OwnHead) > 0 {
		return recordVersion
	}
	return recordPlain
}

func recordFlags(p *Profile) (flags byte) {
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
	return flags
}

func appendOptional(b []byte, p *Profile) []byte {
	flags := recordFlags(p)
	if flags&hasScores != 0 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.Before))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.After))
	}
	if flags&hasOwnHead != 0 {
		b = appendBytes(b, p.OwnHead)
	}
	if flags&hasAffine != 0 {
		b = appendBytes(b, p.Affine)
	}
	if flags&hasPrior != 0 {
		b = binary.AppendUvarint(b, uint64(len(p.Prior)))
		for _, n := range p.Prior {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	if flags&hasBias != 0 {
		b = appendBytes(b, p.Bias)
	}
	return b
}

// DecodeProfile reads a record. Whatever the bytes, it returns an error or a
// profile that EncodeProfile makes the same bytes of; the profile shares no
// memory with b.
func DecodeProfile(b []byte) (*Profile, error) { return decodeRecord(b, (*decoder).mask) }

// outline is DecodeProfile without the mask, which takes half of its time.
func outline(b []byte) (*Profile, error) {
	return decodeRecord(b, func(d *decoder) *bitmask.Mask {
		n := d.uint(bitmask.MaxAdapters, "mask's N")
		d.uvarint("mask's k")
		blocks := d.uint(bitmask.MaxBlocks, "mask's L")
		d.take(uint64(bitmask.Size(int(n), int(blocks))), "mask")
		return nil
	})
}

func decodeRecord(b []byte, mask func(*decoder) *bitmask.Mask) (*Profile, error) {
	d, flags, err := openRecord(b)
	if err != nil {
		return nil, err
	}
	p := &Profile{}
	p.ID = string(d.bytes(maxID, "id"))
	if d.err == nil && checkID(p.ID, maxID) != nil {
		d.fail("id %q is not allowed", p.ID)
	}
	p.Revision = d.uvarint("revision")
	p.Bank = uint32(d.uint(math.MaxUint32, "bank"))
	p.Head = uint32(d.uint(math.MaxUint32, "head"))
	p.Mask = mask(&d)
	created := d.varint("created")
	updated := created + d.varint("updated")
	p.Created, p.Updated = d.time(created, "created"), d.time(updated, "updated")
	p.Examples = uint32(d.uint(math.MaxUint32, "examples"))
	d.optional(p, flags)
	if d.err == nil && b[1] != versionOf(p) {
		d.fail("record version %d of a head %d with %d bytes of its own", b[1], p.Head, len(p.OwnHead))
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return p, nil
}

// openRecord checks a record's frame, and returns a decoder of what is in it.
func openRecord(b []byte) (d decoder, flags byte, err error) {
	at := len(b) - crcSize
	if at < 3 || len(b) > MaxRecord {
		return d, 0, corrupt("record of %d bytes", len(b))
	}
	if got, want := binary.LittleEndian.Uint32(b[at:]), crc32.Checksum(b[:at], castagnoli); got != want {
		return d, 0, corrupt("record's checksum is %08x, want %08x", got, want)
	}
	magic, version, flags := b[0], b[1], b[2]
	switch {
	case magic != recordMagic || version == 0:
		return d, 0, corrupt("record starts with %x", b[:2])
	case version > recordVersion:
		return d, 0, fmt.Errorf("%w: record version %d, this one reads up to %d", ErrSchema, version, recordVersion)
	case flags&^allFlags != 0:
		return d, 0, corrupt("record has unknown flags %02x", flags)
	}
	return decoder{b: b[3:at]}, flags, nil
}

// mask reads the three dimensions and the rows.
func (d *decoder) mask() *bitmask.Mask {
	n := d.uint(bitmask.MaxAdapters, "mask's N")
	k := d.uint(bitmask.MaxAdapters, "mask's k")
	blocks := d.uint(bitmask.MaxBlocks, "mask's L")
	rows := d.take(uint64(bitmask.Size(int(n), int(blocks))), "mask")
	if d.err != nil {
		return nil
	}
	m, err := bitmask.Decode(int(n), int(k), int(blocks), rows)
	if err != nil {
		d.fail("%w", err)
	}
	return m
}

func (d *decoder) optional(p *Profile, flags byte) {
	if flags&hasScores != 0 {
		if scores := d.take(8, "scores"); d.err == nil {
			p.Before = math.Float32frombits(binary.LittleEndian.Uint32(scores))
			p.After = math.Float32frombits(binary.LittleEndian.Uint32(scores[4:]))
			if binary.LittleEndian.Uint64(scores) == 0 {
				d.fail("scores: present but zero")
			}
		}
	}
	field := func(flag byte, what string) []byte {
		if flags&flag == 0 {
			return nil
		}
		b := d.bytes(MaxRecord, what)
		if d.err == nil && len(b) == 0 {
			d.fail("%s: present but empty", what)
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

func (d *decoder) prior() []uint32 {
	n := d.uint(uint64(len(d.b)), "prior's length") // each count is a byte or more
	if d.err == nil && n == 0 {
		d.fail("prior: present but empty")
	}
	prior := make([]uint32, 0, n)
	for range n {
		prior = append(prior, uint32(d.uint(math.MaxUint32, "prior")))
	}
	return slices.Clip(prior)
}

// recordRefs are a record's id, a view, and its refs, with their place.
type recordRefs struct {
	id         []byte
	bank, head uint32
	at, end    int
}

// readRefs checks a record's frame and reads its refs. What comes after them
// it does not look at.
func readRefs(b []byte) (r recordRefs, err error) {
	d, _, err := openRecord(b)
	if err != nil {
		return r, err
	}
	end := len(b) - crcSize
	r.id = d.bytes(maxID, "id")
	d.uvarint("revision")
	r.at = end - len(d.b)
	r.bank = uint32(d.uint(math.MaxUint32, "bank"))
	r.head = uint32(d.uint(math.MaxUint32, "head"))
	r.end = end - len(d.b)
	return r, d.err
}

// replaced returns the record with other refs: what EncodeProfile makes of
// the same profile with them.
func (r recordRefs) replaced(record []byte, bank, head uint32) []byte {
	if bank == r.bank && head == r.head {
		return record
	}
	b := append(make([]byte, 0, len(record)+10), record[:r.at]...)
	b = binary.AppendUvarint(b, uint64(bank))
	b = binary.AppendUvarint(b, uint64(head))
	b = append(b, record[r.end:len(record)-crcSize]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
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
