// Package half converts between float32 and IEEE 754 half precision.
package half

import "math"

// From rounds to the nearest F16, ties to even. What is too large becomes Inf.
func From(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	abs := bits & 0x7fffffff
	switch {
	case abs > 0x7f800000: // NaN
		return sign | 0x7e00
	case abs >= 0x47800000: // 65,536 and beyond, Inf included
		return sign | 0x7c00
	case abs < 0x38800000: // below 2⁻¹⁴: a subnormal half
		return sign | subnormalHalf(abs)
	}
	// Rebias the exponent (127 − 15), then round the 13 bits away: a carry runs
	// into the exponent, and from the largest value into Inf, as it should.
	abs -= (127 - 15) << 23
	return sign | uint16((abs+0xfff+(abs>>13&1))>>13)
}

// subnormalHalf counts units of 2⁻²⁴.
func subnormalHalf(abs uint32) uint16 {
	exp := abs >> 23
	if exp < 102 { // below 2⁻²⁵: less than half a unit
		return 0
	}
	frac := abs&0x7fffff | 0x800000
	shift := 126 - exp // 14 to 24
	half := uint32(1)<<(shift-1) - 1
	return uint16((frac + half + (frac >> shift & 1)) >> shift)
}

// To widens exactly.
func To(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0: // the product is exact: 10 bits times a power of two
		v := float32(float32(frac) * float32(0x1p-24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
