package half

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestHalfWidensAndComesBack(t *testing.T) {
	for h := range 1 << 16 {
		v := To(uint16(h))
		if math.IsNaN(float64(v)) {
			if From(v)&0x7fff <= 0x7c00 {
				t.Errorf("%#04x is NaN, got %#04x, want a NaN", h, From(v))
			}
			continue
		}
		if got := From(v); got != uint16(h) {
			t.Errorf("%#04x is %v, got %#04x", h, v, got)
		}
	}
}

func TestHalfKnownValues(t *testing.T) {
	tests := []struct {
		v    float32
		want uint16
	}{
		{0, 0}, {float32(math.Copysign(0, -1)), 0x8000}, {1, 0x3c00}, {-2, 0xc000}, {65504, 0x7bff},
		{65519, 0x7bff}, {65520, 0x7c00}, {1e10, 0x7c00}, {float32(math.Inf(-1)), 0xfc00},
		{1 + 0x1p-11, 0x3c00}, {1 + 0x3p-11, 0x3c02}, {1 + 0x1p-11 + 0x1p-20, 0x3c01}, // ties to even
		{0x1p-14, 0x0400}, {0x1p-24, 1}, {0x1p-25, 0}, {0x1p-25 + 0x1p-40, 1}, {0x3p-25, 2}, {0x1p-26, 0},
		{0x1p-14 - 0x1p-26, 0x0400}, {0x1p-149, 0},
	}
	for _, tt := range tests {
		if got := From(tt.v); got != tt.want {
			t.Errorf("%v: got %#04x, want %#04x", tt.v, got, tt.want)
		}
	}
}

// The nearest half is one of the two around a number; ties go to the even one.
func TestHalfIsNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v := math.Float32frombits(rng.Uint32N(0x477ff000)) // below 65,520
		got := From(v)
		d := math.Abs(float64(To(got)) - float64(v))
		for _, other := range []uint16{got - 1, got + 1} {
			if other > 0x7bff { // Inf, or around zero
				continue
			}
			e := math.Abs(float64(To(other)) - float64(v))
			if e < d || e == d && got&1 == 1 {
				t.Fatalf("%v: got %#04x at distance %g, %#04x is at %g", v, got, d, other, e)
			}
		}
	}
}

// TestHalf widens all 65,536 halves and compares with their definition.
func TestHalf(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got := To(h)
		exp, frac := int(h>>10&31), float64(h&1023)
		var want float64
		switch {
		case exp == 31 && frac != 0:
			want = math.NaN()
		case exp == 31:
			want = math.Inf(1)
		case exp == 0:
			want = math.Ldexp(frac, -24)
		default:
			want = math.Ldexp(1024+frac, exp-25)
		}
		if h>>15 == 1 {
			want = -want
		}
		same := float64(got) == want && math.Signbit(float64(got)) == math.Signbit(want)
		if !same && !(math.IsNaN(want) && math.IsNaN(float64(got))) {
			t.Fatalf("%#04x: got %g, want %g", h, got, want)
		}
	}
}
