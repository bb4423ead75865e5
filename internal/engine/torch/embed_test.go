//go:build torch && cgo

package torch

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

func mustEmbed(t *testing.T, e engine.Engine, d int, r engine.Rows, as []*model.Adapter, taps []int) (x,
	states []float32) {
	t.Helper()
	x = make([]float32, len(r.Texts)*d)
	states = make([]float32, len(taps)*len(x))
	if err := e.Embed(context.Background(), r, as, x, taps, states); err != nil {
		t.Fatal(err)
	}
	return x, states
}

// TestEmbedAgainstGo compares libtorch's pass with the naive one: every pooling, padding, pairs,
// adapters of several kinds beside bare rows in one call, taps.
func TestEmbedAgainstGo(t *testing.T) {
	for _, m := range tinies {
		enc := m.open(t)
		ref, e := newNaive(t, enc), open(t, enc, true)
		as := []*model.Adapter{kinds[0].adapter(1, m.L, m.d, 3), nil, kinds[2].adapter(2, m.L-1, m.d, 5),
			kinds[1].adapter(3, m.L, m.d, 3), kinds[0].adapter(4, m.L, m.d, 3), kinds[4].adapter(5, m.L, m.d, 3),
			kinds[5].adapter(6, 1, m.d, 2), kinds[4].adapter(7, m.L, m.d, 3)}
		for _, owner := range [][]int{nil, {0, 1, 2, 3, 4}, {4, 4, 0, 4, 0}, {5, 7, 5, 6, 0}} {
			adapters := as
			for _, bare := range []bool{false, true} {
				if bare {
					if owner != nil {
						continue
					}
					adapters = nil
				}
				r, taps := engine.Rows{Texts: tinyTexts, Owner: owner}, []int{0, 1, m.L}
				x, states := mustEmbed(t, e, m.d, r, adapters, taps)
				again, _ := mustEmbed(t, e, m.d, r, adapters, nil)
				if !slices.Equal(x, again) {
					t.Errorf("%+v: got another embedding without taps", m)
				}
				for i, text := range tinyTexts {
					var a *model.Adapter
					if owner != nil {
						a = adapters[owner[i]]
					} else if !bare {
						a = adapters[0]
					}
					all := ref.states(text, widen(a))
					name := fmt.Sprintf("%+v, owners %v, text %d", m, owner, i)
					near(t, name, x[i*m.d:(i+1)*m.d], ref.pool(all[m.L], m.pooling))
					for k, l := range taps {
						near(t, fmt.Sprintf("%s, tap %d", name, l), states[(i*len(taps)+k)*m.d:(i*len(taps)+k+1)*m.d],
							ref.pool(all[l], model.PoolMean))
					}
				}
			}
		}
	}
}

func near(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if off := float64(got[i]) - w; !(off < 1e-5 && off > -1e-5) {
			t.Errorf("%s[%d]: got %g, want %g", name, i, got[i], w)
			return
		}
	}
}

// TestEmbedGolden holds the real weights against PyTorch.
func TestEmbedGolden(t *testing.T) {
	f := golden.Open(t, "forward.safetensors")
	enc := minilm(t)
	for _, card := range []bool{false, true} {
		x, _ := mustEmbed(t, open(t, enc, card), enc.Hidden(), engine.Rows{Texts: goldenTexts(f)}, nil, nil)
		golden.Near(t, "mean pooled", x, f.Floats("mean_pooled"), 2e-5, 0)
	}
}

// TestEmbedAsNative: libtorch's pass over the real weights is the native engine's but for rounding,
// out of texts and out of stems, in one pass and in many.
func TestEmbedAsNative(t *testing.T) {
	enc := minilm(t)
	d, L := enc.Hidden(), enc.Blocks()
	e := open(t, enc, true)
	var texts []model.Encoding
	for range 3 {
		texts = append(texts, goldenTexts(golden.Open(t, "forward.safetensors"))...)
	}
	as := []*model.Adapter{kinds[0].adapter(1, 2, d, 8), nil, kinds[1].adapter(2, 1, d, 16),
		kinds[0].adapter(3, 2, d, 8)}
	r := engine.Rows{Texts: texts, From: L - 2}
	for i := range texts {
		r.Owner = append(r.Owner, i%len(as))
	}
	taps := []int{0, 3, L}
	want, wantStates := mustEmbed(t, e.native, d, r, as, taps)
	x, states := mustEmbed(t, e, d, r, as, taps)
	golden.Near(t, "embeddings", x, want, 2e-6, 2e-5)
	golden.Near(t, "taps", states, wantStates, 2e-6, 2e-5)
	below := make([]float32, len(texts)*d)
	stems, err := e.Stems(context.Background(), texts, r.From, taps[:1], below)
	if err != nil {
		t.Fatal(err)
	}
	native, err := e.native.Stems(context.Background(), texts, r.From, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range stems {
		golden.Near(t, "stem", stems[i], native[i], 5e-6, 5e-5)
	}
	r.Stems = stems
	x, above := mustEmbed(t, e, d, r, as, taps[2:])
	golden.Near(t, "out of stems", x, want, 2e-6, 2e-5)
	for i := range texts {
		golden.Near(t, "states of the parts", slices.Concat(below[i*d:(i+1)*d], above[i*d:(i+1)*d]),
			slices.Concat(wantStates[3*i*d:(3*i+1)*d], wantStates[(3*i+2)*d:3*(i+1)*d]), 2e-6, 2e-5)
	}
	r.Stems[5] = nil
	x, _ = mustEmbed(t, e, d, r, as, nil)
	golden.Near(t, "out of some stems", x, want, 2e-6, 2e-5)
}

// TestFewRows: on a GPU the CPU answers small calls.
func TestFewRows(t *testing.T) {
	enc := tinies[0].open(t)
	e := open(t, enc, true)
	r := engine.Rows{Texts: tinyTexts}
	native, _ := mustEmbed(t, e.native, enc.Hidden(), r, nil, nil)
	card, _ := mustEmbed(t, e, enc.Hidden(), r, nil, nil)
	if slices.Equal(native, card) {
		t.Fatal("libtorch has the native bits: the test could not fail")
	}
	for few, want := range map[int][]float32{len(tinyTexts): card, len(tinyTexts) + 1: native} {
		e.few = few
		if got, _ := mustEmbed(t, e, enc.Hidden(), r, nil, nil); !slices.Equal(got, want) {
			t.Errorf("%d texts, libtorch from %d: got the other engine's numbers", len(tinyTexts), few)
		}
	}
}

// TestPasses: parts hold every row once, are within the limit, and go from long to short.
func TestPasses(t *testing.T) {
	texts := make([]model.Encoding, 50)
	for i := range texts {
		texts[i].IDs = make([]int32, 1+i*7%23)
	}
	rows := every(len(texts))[3:]
	for name, dealt := range map[string][][]int{"cut": cut(byLength(texts, rows), texts, 40),
		"shards": shards(texts, rows), "tiny": cut(byLength(texts, rows), texts, 1)} {
		met, last := map[int]bool{}, 1<<30
		for _, part := range dealt {
			if n := len(part) * len(texts[part[0]].IDs); len(part) > 1 && n > shardTokens || name == "cut" && n > 40 {
				t.Errorf("%s: a part of %d tokens", name, n)
			}
			for _, row := range part {
				if met[row] || row < 3 || len(texts[row].IDs) > last {
					t.Errorf("%s: row %d again, unknown or out of order", name, row)
				}
				met[row], last = true, len(texts[row].IDs)
			}
		}
		if len(met) != len(rows) {
			t.Errorf("%s: got %d rows, want %d", name, len(met), len(rows))
		}
	}
}
