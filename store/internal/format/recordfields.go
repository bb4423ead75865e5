package format

import (
	"encoding/binary"
	"math"
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
