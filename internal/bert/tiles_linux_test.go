//go:build cgo && amd64

package bert

import (
	"math"
	"math/rand/v2"
	"testing"
)

// rounded is x in bfloat16.
func rounded(x float32) float64 { return float64(math.Float32frombits(uint32(bfloat16(x)) << 16)) }

// TestTiles compares a layer in bfloat16 with float64 sums of the rounded values, by what summing
// in float32 may lose, and a path with its twin by a last bit of each of its accumulations. Sizes
// are and are not whole numbers of tiles.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	w := shapes[0].weights(rng)
	for _, s := range []struct{ in, out, rows int }{{32, 32, 16}, {384, 96, 33}, {1, 1, 1}, {31, 33, 15}, {33, 31, 17},
		{312, 40, 97}, {1536, 64, 32}, {100, 7, 200}} {
		l := Linear{W: random(rng, s.out*s.in, 1), B: random(rng, s.out, 1), Out: s.out, In: s.in}
		x := random(rng, s.rows*s.in, 2)
		var twin []float32
		for _, k := range append([]kernels{twin16}, below32(BFloat16)...) {
			m := newModel(w, newC(w, k, BFloat16))
			y := make([]float32, s.rows*s.out)
			m.path.(*cPath).layer(l, x, s.rows, y)
			m.Free()
			if twin == nil {
				twin = y
			}
			for i, got := range y {
				r, j := i/s.out, i%s.out
				sum, sizes := float64(l.B[j]), math.Abs(float64(l.B[j]))
				for k := range s.in {
					p := rounded(x[r*s.in+k]) * rounded(l.W[j*s.in+k])
					sum, sizes = sum+p, sizes+math.Abs(p)
				}
				const bit = 1. / (1 << 23)
				if off := math.Abs(float64(got) - sum); !(off <= float64(s.in/32+34)*bit*sizes) {
					t.Fatalf("%s, %v: row %d, output %d: got %v, want %v", k.name, s, r, j, got, sum)
				}
				if off := math.Abs(float64(got - twin[i])); off > float64(s.in/32+2)*bit*sizes {
					t.Fatalf("%s, %v: row %d, output %d: got %v, its twin %v", k.name, s, r, j, got, twin[i])
				}
			}
		}
	}
}

// TestBFloat16 rounds to the nearest, of two the even one, and keeps what is no finite number.
func TestBFloat16(t *testing.T) {
	for bits, want := range map[uint32]uint16{0x3f800000: 0x3f80, 0x3f808000: 0x3f80, 0x3f808001: 0x3f81,
		0x3f818000: 0x3f82, 0xbf80ffff: 0xbf81, 0x7f7fffff: 0x7f80, 0xff800000: 0xff80, 0x7f800001: 0x7fc0,
		0x80000000: 0x8000, 0x00018000: 0x0002} {
		if got := bfloat16(math.Float32frombits(bits)); got != want {
			t.Errorf("%08x: got %04x, want %04x", bits, got, want)
		}
	}
}
