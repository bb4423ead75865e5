package format

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
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

func recordFlags(p *Record, version byte) (flags byte) {
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
	if version >= RecordCodes {
		set(hasMask, p.Mask != nil)
		flags += codesFlag * byte(len(p.Codes))
	}
	return flags
}

func appendOptional(b []byte, p *Record) []byte {
	flags := recordFlags(p, RecordPlain)
	if flags&hasScores != 0 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.Before))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.After))
	}
	if flags&hasOwnHead != 0 {
		b = AppendBytes(b, p.OwnHead)
	}
	if flags&hasAffine != 0 {
		b = AppendBytes(b, p.Affine)
	}
	if flags&hasPrior != 0 {
		b = AppendUvarints(binary.AppendUvarint(b, uint64(len(p.Prior))), p.Prior...)
	}
	if flags&hasBias != 0 {
		b = AppendBytes(b, p.Bias)
	}
	return b
}

func (d *recordDecoder) optional(p *Record, flags byte) {
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
