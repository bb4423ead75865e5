package model

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testHead is a seeded head of these labels over d values.
func testHead(labels []string, d int, twoLayer bool) *Head {
	rng := rand.New(rand.NewPCG(uint64(d), uint64(len(labels))))
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	h := &Head{Labels: labels, Hidden: d}
	C := h.Outputs()
	h.W, h.B, h.Counts = random(C*d), random(C), make([]uint32, C)
	for i := range h.Counts {
		h.Counts[i] = uint32(200 * i)
	}
	if twoLayer {
		h.W1, h.B1 = random(d*d), random(d)
	}
	return h
}

var testHeads = map[string]*Head{
	"linear":    testHead([]string{"yes", "no", "später"}, 7, false),
	"two-layer": testHead([]string{"yes", "no"}, 5, true),
	"regressor": testHead(nil, 6, false),
	"one label": testHead([]string{"only"}, 1, true),
}

func TestHeadLogits(t *testing.T) {
	for name, h := range testHeads {
		t.Run(name, func(t *testing.T) {
			x := make([]float32, h.Hidden)
			for i := range x {
				x[i] = float32(i)/4 - 0.5
			}
			inner := make([]float64, h.Hidden)
			for i := range inner {
				inner[i] = float64(x[i])
				if h.W1 != nil {
					sum := float64(h.B1[i])
					for j, v := range x {
						sum += float64(h.W1[i*h.Hidden+j]) * float64(v)
					}
					inner[i] = math.Tanh(sum)
				}
			}
			got := h.Logits([]float32{42}, x)
			if len(got) != 1+h.Outputs() || got[0] != 42 {
				t.Fatalf("got %v, want %d values appended to 42", got, h.Outputs())
			}
			for c := range h.Outputs() {
				want := float64(h.B[c])
				for i, v := range inner {
					want += float64(h.W[c*h.Hidden+i]) * v
				}
				if d := math.Abs(float64(got[1+c]) - want); d > 1e-5 {
					t.Errorf("output %d: got %g, want %g", c, got[1+c], want)
				}
			}
		})
	}
}

func TestHeadLabels(t *testing.T) {
	h := testHeads["linear"]
	if i, ok := h.Label("später"); i != 2 || !ok {
		t.Errorf("got %d, %t, want 2, true", i, ok)
	}
	if _, ok := h.Label("never"); ok {
		t.Error("an unknown label: got true, want false")
	}
	if h.Regression() || !testHeads["regressor"].Regression() {
		t.Error("Regression: got the wrong answer")
	}
}

func TestHeadClone(t *testing.T) {
	h := testHead([]string{"a", "b"}, 3, true)
	c := h.Clone()
	if diff := cmp.Diff(h, c); diff != "" {
		t.Fatalf("clone (-want +got):\n%s", diff)
	}
	c.Labels[0], c.W[0], c.B[0], c.W1[0], c.B1[0], c.Counts[0] = "c", 9, 9, 9, 9, 9
	if diff := cmp.Diff(testHead([]string{"a", "b"}, 3, true), h); diff != "" {
		t.Errorf("the original changed with its clone (-want +got):\n%s", diff)
	}
}

func TestHeadRoundTrip(t *testing.T) {
	for name, h := range testHeads {
		data, err := h.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got Head
		if err := got.UnmarshalBinary(data); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(h, &got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		d1, _ := h.Digest()
		if d2, err := got.Digest(); err != nil || d1 != d2 {
			t.Errorf("%s: digest: got %x, %v, want %x", name, d2, err, d1)
		}
	}
}

// decodesOrFails: bytes are an error that leaves the head as it was, or a head that encodes to
// them.
func decodesOrFails(t *testing.T, what string, data []byte) (ok bool) {
	t.Helper()
	h := Head{Hidden: 77}
	if err := h.UnmarshalBinary(data); err != nil {
		if !errors.Is(err, ErrHead) || h.Hidden != 77 || h.W != nil {
			t.Errorf("%s: got %v and %+v, want ErrHead and the head as it was", what, err, h)
		}
		return false
	}
	again, err := h.MarshalBinary()
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("%s: decodes, but encodes to %x, %v, want %x", what, again, err, data)
	}
	return true
}

func TestHeadBytes(t *testing.T) {
	for name, h := range testHeads {
		t.Run(name, func(t *testing.T) {
			data, err := h.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			for n := range data {
				if decodesOrFails(t, fmt.Sprintf("cut to %d", n), data[:n]) {
					t.Errorf("cut to %d bytes of %d: got no error", n, len(data))
				}
			}
			if decodesOrFails(t, "with a tail", append(slices.Clone(data), 0)) {
				t.Error("with a tail: got no error")
			}
			for bit := range 8 * len(data) {
				flipped := slices.Clone(data)
				flipped[bit/8] ^= 1 << (bit % 8)
				if ok := decodesOrFails(t, fmt.Sprintf("bit %d flipped", bit), flipped); ok && bit < 8*len(headMagic) {
					t.Errorf("bit %d of the magic and version flipped: got no error", bit)
				}
			}
		})
	}
}

// TestHeadBytesAllocate: a header of a few bytes does not decide how much is allocated.
func TestHeadBytesAllocate(t *testing.T) {
	for name, data := range map[string]string{
		"labels":  headMagic + "\x00\x80\x20\x01", // 4,096 labels
		"weights": headMagic + "\x01\x00\x80\x80\x04\x00",
	} {
		allocs := testing.AllocsPerRun(10, func() {
			if err := new(Head).UnmarshalBinary([]byte(data)); err == nil {
				t.Errorf("%s: got no error", name)
			}
		})
		if allocs > 12 {
			t.Errorf("%s: got %.0f allocations, want a few", name, allocs)
		}
	}
}

func TestHeadValidate(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for name, spoil := range map[string]func(*Head){
		"no values":       func(h *Head) { h.Hidden = 0 },
		"W too short":     func(h *Head) { h.W = h.W[1:] },
		"B too long":      func(h *Head) { h.B = append(h.B, 0) },
		"no counts":       func(h *Head) { h.Counts = nil },
		"W1 without B1":   func(h *Head) { h.B1 = nil },
		"B1 without W1":   func(h *Head) { h.W1 = nil },
		"empty W1":        func(h *Head) { h.W1, h.B1 = []float32{}, nil },
		"an empty label":  func(h *Head) { h.Labels[1] = "" },
		"a label twice":   func(h *Head) { h.Labels[1] = h.Labels[0] },
		"a long label":    func(h *Head) { h.Labels[1] = strings.Repeat("x", MaxLabelBytes+1) },
		"too many labels": func(h *Head) { h.Labels = make([]string, MaxLabels+1) },
		"a NaN":           func(h *Head) { h.W[3] = nan },
		"an infinity":     func(h *Head) { h.B1[0] = inf },
	} {
		h := testHead([]string{"a", "b"}, 3, true)
		spoil(h)
		if err := h.Validate(); !errors.Is(err, ErrHead) {
			t.Errorf("%s: got %v, want ErrHead", name, err)
		}
		if _, err := h.MarshalBinary(); !errors.Is(err, ErrHead) {
			t.Errorf("%s: encoded: got %v, want ErrHead", name, err)
		}
	}
}

func TestHeadPrior(t *testing.T) {
	h := testHead([]string{"a", "b", "c"}, 2, false)
	h.Counts = []uint32{7, 0, 2} // q = 8/12, 1/12, 3/12
	counts, alpha := []uint32{0, 3, 1}, 2.0
	q := []float64{8. / 12, 1. / 12, 3. / 12}
	got := h.Prior(counts, alpha)
	for c := range counts {
		want := math.Log((float64(counts[c])+alpha*q[c])/(4+alpha)) - math.Log(q[c])
		if d := math.Abs(float64(got[c]) - want); d > 1e-6 {
			t.Errorf("label %d: got %g, want %g", c, got[c], want)
		}
	}
	if got := testHeads["regressor"].Prior([]uint32{1}, 1); got != nil {
		t.Errorf("a regressor: got %v, want nil", got)
	}
	for _, none := range [][]uint32{nil, {0, 0, 0}, {1, 2}} {
		if got := h.Prior(none, 1); got != nil {
			t.Errorf("counts %v: got %v, want nil", none, got)
		}
	}
}

func TestSoftmax(t *testing.T) {
	for _, c := range []struct{ logits, want []float32 }{
		{nil, nil},
		{[]float32{3}, []float32{1}},
		{[]float32{0, float32(math.Log(3))}, []float32{0.25, 0.75}},
		{[]float32{1000, 1000, -1000}, []float32{0.5, 0.5, 0}},
		{[]float32{float32(math.Inf(-1)), 0}, []float32{0, 1}},
	} {
		got := Softmax(slices.Clone(c.logits))
		if len(got) != len(c.want) {
			t.Fatalf("got %v, want %v", got, c.want)
		}
		for i := range got {
			if d := math.Abs(float64(got[i] - c.want[i])); !(d < 1e-6) {
				t.Errorf("of %v: got %v, want %v", c.logits, got, c.want)
			}
		}
	}
}

func ExampleHead_Logits() {
	h := &Head{
		Labels: []string{"later", "urgent"}, Hidden: 2,
		W: []float32{1, 0, 0, 1}, B: []float32{0, 0.5}, Counts: make([]uint32, 2),
	}
	logits := h.Logits(nil, []float32{0.25, 1})
	fmt.Println(logits)
	fmt.Printf("%.2f\n", Softmax(logits))
	// Output:
	// [0.25 1.5]
	// [0.22 0.78]
}

func BenchmarkHeadLogits(b *testing.B) {
	labels := make([]string, 30)
	for i := range labels {
		labels[i] = fmt.Sprint(i)
	}
	h := testHead(labels, 384, false)
	x, dst := make([]float32, 384), make([]float32, 0, 30)
	b.ReportAllocs()
	for b.Loop() {
		dst = h.Logits(dst[:0], x)
	}
}
