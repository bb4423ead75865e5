package bank

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func affineProps() Properties {
	return Properties{Origin: Random, N: 4, Blocks: 3, Hidden: 8, Bottleneck: 5, NormB: true, SigmaA: 0.1, SigmaB: 0.1}
}

func TestAffineRoundTrip(t *testing.T) {
	p := affineProps()
	rng := rand.New(rand.NewPCG(3, 4))
	width := 2 * p.Bottleneck
	for _, scale := range []float64{0, 1e-3, 1, 1e6} {
		base, affine := DefaultAffine(p), DefaultAffine(p)
		for i := range affine {
			base[i] += float32(rng.NormFloat64() * 0.1)
			affine[i] = base[i] + float32(rng.NormFloat64()*scale)
		}
		data, err := p.EncodeAffine(affine, base)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != p.affineBytes() {
			t.Errorf("got %d bytes, want %d", len(data), p.affineBytes())
		}
		got, err := p.DecodeAffine(data, base)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			step := math.Float32frombits(binary.LittleEndian.Uint32(data[i/width*(4+width):]))
			// Half a step, and the rounding of a sum of this size.
			limit := float64(step)/2 + 1e-6*math.Abs(float64(affine[i])) + 1e-6*math.Abs(float64(base[i]))
			if d := math.Abs(float64(got[i]) - float64(affine[i])); d > limit {
				t.Errorf("scale %g, value %d: got %g, want %g within %g", scale, i, got[i], affine[i], limit)
			}
		}
		if scale == 0 && !slices.Equal(got, base) {
			t.Errorf("no difference: got %v, want the base %v", got, base)
		}
	}
}

func TestAffineExtremes(t *testing.T) {
	p := affineProps()
	base := make([]float32, p.AffineElems())
	encode := func(v float32) ([]byte, error) {
		affine := make([]float32, len(base))
		affine[7], affine[8] = v, -v
		return p.EncodeAffine(affine, base)
	}
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32} {
		if _, err := encode(v); !errors.Is(err, ErrInvalid) {
			t.Errorf("%g: got %v, want ErrInvalid", v, err)
		}
	}
	for _, v := range []float32{math.SmallestNonzeroFloat32, 190 * math.SmallestNonzeroFloat32, 1e-38, 1e37, 1.6e38} {
		data, err := encode(v)
		if err != nil {
			t.Errorf("%g: %v", v, err)
			continue
		}
		got, err := p.DecodeAffine(data, base)
		if err != nil || got[7] < 0 || got[8] > 0 || got[7]-v > v || v-got[7] > v {
			t.Errorf("%g: got %v and %v, %v", v, got[7], got[8], err)
		}
	}
}

func TestAffineRefuses(t *testing.T) {
	p := affineProps()
	base := DefaultAffine(p)
	if _, err := p.EncodeAffine(base[1:], base); !errors.Is(err, ErrInvalid) {
		t.Errorf("encode, too short: got %v, want ErrInvalid", err)
	}
	good, err := p.EncodeAffine(base, base)
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if got, err := p.DecodeAffine(good[:n], base); !errors.Is(err, ErrCorrupt) || got != nil {
			t.Errorf("cut to %d bytes: got %v, %v, want ErrCorrupt", n, got, err)
		}
	}
	if _, err := p.DecodeAffine(append(slices.Clone(good), 0), base); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a tail: got %v, want ErrCorrupt", err)
	}
	for _, step := range []float32{float32(math.NaN()), float32(math.Inf(1)), -1, math.MaxFloat32} {
		bad := slices.Clone(good)
		binary.LittleEndian.PutUint32(bad[4+2*p.Bottleneck:], math.Float32bits(step))
		if _, err := p.DecodeAffine(bad, base); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a step of %g: got %v, want ErrCorrupt", step, err)
		}
	}
}

// TestAffineAnyBytes: whatever the bytes are, the result is finite or an error.
func TestAffineAnyBytes(t *testing.T) {
	p := affineProps()
	base := DefaultAffine(p)
	base[0] = math.MaxFloat32
	rng := rand.New(rand.NewPCG(5, 6))
	data := make([]byte, p.affineBytes())
	for range 2000 {
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		got, err := p.DecodeAffine(data, base)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || got != nil {
				t.Fatalf("got %v, %v, want ErrCorrupt alone", got, err)
			}
			continue
		}
		for _, v := range got {
			if v-v != 0 {
				t.Fatalf("bytes %x: got %v, want finite values", data, got)
			}
		}
	}
}
