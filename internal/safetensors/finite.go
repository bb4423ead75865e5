package safetensors

import (
	"encoding/binary"
	"math/bits"
)

// NotFinite returns the index of the first NaN or Inf among little-endian floats, or -1; elements
// of other types are finite. It looks at 32 bytes at a time, as fast as memory gives them: an
// exponent of ones, plus its lowest bit, carries into the place of the sign, and no further.
func NotFinite(b []byte, dtype string) int {
	var exponents, lowest uint64
	switch dtype {
	case "F64":
		exponents, lowest = 0x7ff00000_00000000, 0x00100000_00000000
	case "F32":
		exponents, lowest = 0x7f800000_7f800000, 0x00800000_00800000
	case "F16":
		exponents, lowest = 0x7c007c00_7c007c00, 0x04000400_04000400
	case "BF16":
		exponents, lowest = 0x7f807f80_7f807f80, 0x00800080_00800080
	default:
		return -1
	}
	le := binary.LittleEndian
	at := 0
	for rest := b; len(rest) >= 32; rest = rest[32:] {
		hit := le.Uint64(rest)&exponents + lowest
		hit |= le.Uint64(rest[8:])&exponents + lowest
		hit |= le.Uint64(rest[16:])&exponents + lowest
		hit |= le.Uint64(rest[24:])&exponents + lowest
		if hit&^exponents != 0 {
			break
		}
		at += 32
	}
	for ; at < len(b); at += 8 { // the one that has it, or the tail
		var eight [8]byte
		copy(eight[:], b[at:])
		if hit := (le.Uint64(eight[:])&exponents + lowest) &^ exponents; hit != 0 {
			return (at + bits.TrailingZeros64(hit)/8) / int(elemSize(dtype))
		}
	}
	return -1
}
