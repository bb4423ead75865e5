package bank

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestHalfWidensAndComesBack(t *testing.T) {
	for h := range 1 << 16 {
		v := fromHalf(uint16(h))
		if math.IsNaN(float64(v)) {
			if toHalf(v)&0x7fff <= 0x7c00 {
				t.Errorf("%#04x is NaN, got %#04x, want a NaN", h, toHalf(v))
			}
			continue
		}
		if got := toHalf(v); got != uint16(h) {
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
		if got := toHalf(tt.v); got != tt.want {
			t.Errorf("%v: got %#04x, want %#04x", tt.v, got, tt.want)
		}
	}
}

// The nearest half is one of the two around a number; ties go to the even one.
func TestHalfIsNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		v := math.Float32frombits(rng.Uint32N(0x477ff000)) // below 65,520
		got := toHalf(v)
		d := math.Abs(float64(fromHalf(got)) - float64(v))
		for _, other := range []uint16{got - 1, got + 1} {
			if other > 0x7bff { // Inf, or around zero
				continue
			}
			e := math.Abs(float64(fromHalf(other)) - float64(v))
			if e < d || e == d && got&1 == 1 {
				t.Fatalf("%v: got %#04x at distance %g, %#04x is at %g", v, got, d, other, e)
			}
		}
	}
}

func TestNotFinite(t *testing.T) {
	for _, dtype := range []DType{F32, F16} {
		for n := range 9 {
			for at := range n {
				v := make([]float32, n)
				for i := range v {
					v[i] = -65504 // the largest half; its exponent is one below that of Inf
				}
				if got := notFinite(appendEntries(nil, v, dtype), dtype); got != -1 {
					t.Errorf("%v, %d finite entries: got %d, want -1", dtype, n, got)
				}
				for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					v[at] = float32(bad)
					if got := notFinite(appendEntries(nil, v, dtype), dtype); got != at {
						t.Errorf("%v, %v as entry %d of %d: got %d", dtype, bad, at, n, got)
					}
				}
			}
		}
	}
}
