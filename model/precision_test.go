package model

import (
	"math"
	"slices"
	"testing"
)

// answer is Answer without states.
func answer(t *testing.T, enc *Encoder, texts []Encoding, owner []int, as []*Adapter) []float32 {
	t.Helper()
	x := make([]float32, len(texts)*enc.Hidden())
	if err := enc.Answer(texts, owner, as, x, nil, nil); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestAnswer: in each precision a text has the same vector alone and among others, one of which is
// not finite, Embed has float32's as before, and only what is used is packed.
func TestAnswer(t *testing.T) {
	for _, m := range []tiny{tinies[0], tinyDefault} {
		want := bare(t, openEncoder(t, m.writeF32(t)), tinyTexts)
		bad := newNaiveAdapter(m, 4, 5, false, true, false).flat(m, m.L, false)
		bad.Up[0] = float32(math.Inf(1))
		owner := make([]int, len(tinyTexts))
		owner[1] = 1
		for name := range precisions {
			enc := openEncoder(t, m.writeF32(t))
			if err := enc.UsePrecision(name); err != nil {
				t.Fatal(err)
			}
			whole := enc.Precision() != "float32"
			got := answer(t, enc, tinyTexts, owner, []*Adapter{nil, bad})
			if packed := enc.exact.model != nil; packed == whole {
				t.Errorf("%q: answers packed float32's weights: %t, want %t", name, packed, !whole)
			}
			for i, text := range tinyTexts {
				if x := got[i*m.H : (i+1)*m.H]; i == 1 {
					if v := x[0]; v-v == 0 {
						t.Errorf("%q: got %v of an infinite weight", name, v)
					}
				} else if alone := answer(t, enc, []Encoding{text}, nil, nil); !slices.Equal(x, alone) {
					t.Errorf("%q: text %d has another vector alone than among %d", name, i, len(tinyTexts))
				}
			}
			if same := slices.Equal(answer(t, enc, tinyTexts, nil, nil), want); same == whole {
				t.Errorf("%q, which is %s here: answers in float32: %t", name, enc.Precision(), same)
			}
			if !slices.Equal(bare(t, enc, tinyTexts), want) {
				t.Errorf("%q: Embed is not in float32", name)
			}
		}
	}
}

// TestUsePrecision: a name that there is not changes nothing, and a kernel that has float32 only
// serves in it.
func TestUsePrecision(t *testing.T) {
	enc := openEncoder(t, tinies[0].writeF32(t))
	if got := enc.Precision(); got != "float32" {
		t.Errorf("by default: got %s, want float32", got)
	}
	if err := enc.UsePrecision(auto); err != nil || enc.Precision() != AutoPrecision() {
		t.Errorf("auto: got %s, %v, want %s", enc.Precision(), err, AutoPrecision())
	}
	if err := enc.UsePrecision("int4"); err == nil || enc.Precision() != AutoPrecision() {
		t.Errorf("int4: got %s, %v, want an error and what was there", enc.Precision(), err)
	}
	if err := enc.UseKernel("portable"); err != nil {
		t.Fatal(err)
	}
	if err := enc.UsePrecision("int8"); err != nil || enc.Precision() != "float32" {
		t.Errorf("int8 in Go: got %s, %v, want float32", enc.Precision(), err)
	}
}
