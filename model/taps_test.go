package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/bert"
	"github.com/xpeft/xpeft/internal/golden"
)

// tap is Embed with taps.
func tap(t *testing.T, enc *Encoder, texts []Encoding, owner []int, as []*Adapter, taps []int) (x, states []float32) {
	t.Helper()
	x = make([]float32, len(texts)*enc.Hidden())
	states = make([]float32, len(taps)*len(x))
	if err := enc.Embed(texts, owner, as, x, taps, states); err != nil {
		t.Fatal(err)
	}
	return x, states
}

// tapped is tap k of n of text i.
func tapped(states []float32, i, k, n, d int) []float32 { return states[(i*n+k)*d : (i*n+k+1)*d] }

// foldedGolden is PyTorch's folded adapter in the real model's last blocks.
func foldedGolden(t *testing.T, L, blocks, d int) (*Adapter, *naiveAdapter) {
	f := golden.Open(t, "xpeft.safetensors")
	b := int(f.Shape("hard_fold_A")[2])
	down, up, n := f.Floats("hard_fold_A"), f.Floats("hard_fold_B"), d*b
	slow := &naiveAdapter{b: b}
	for l := range L {
		slow.down, slow.up = append(slow.down, down[l*n:(l+1)*n]), append(slow.up, up[l*n:(l+1)*n])
		slow.downBias, slow.upBias = append(slow.downBias, make([]float32, b)), append(slow.upBias, make([]float32, d))
	}
	return &Adapter{Blocks: blocks, Bottleneck: b, Down: down[(L-blocks)*n:], Up: up[(L-blocks)*n:]}, slow
}

// naiveOf is the model of an encoder.
func naiveOf(t *testing.T, enc *Encoder) *naive {
	r, weights := weightReader{checkpoint: enc.checkpoint}, map[string][]float32{}
	for _, name := range enc.checkpoint.Names() {
		weights[name] = r.tensor(name)
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return &naive{config: enc.Config(), weights: weights}
}

// TestTaps compares the real model's taps with the naive ones, bare and with an adapter in the last
// blocks. Of a model that pools by the mean, the last one is the embedding itself; a text has the
// same alone and in a batch; taps change no embedding.
func TestTaps(t *testing.T) {
	enc := openEncoder(t, golden.Model(t))
	texts, d, L := goldenTexts(golden.Open(t, "forward.safetensors"))[:5], enc.Hidden(), enc.Blocks()
	const naives = 3 // texts that the slow one embeds: short ones
	for i := range naives {
		n := 5 + 2*i
		texts[i].IDs, texts[i].TypeIDs = texts[i].IDs[:n], texts[i].TypeIDs[:n]
	}
	two, slow := foldedGolden(t, L, 2, d)
	for _, c := range []struct {
		name  string
		a     *Adapter
		naive *naiveAdapter
	}{{"bare", nil, nil}, {"two blocks", two, slow}} {
		ref := naiveOf(t, enc)
		ref.adapter, ref.from = c.naive, L-2
		all := make([][]matrix, naives)
		for i := range all {
			all[i] = ref.states(texts[i])
		}
		for _, taps := range [][]int{{0, 1, 2, 3, 4, 5, 6}, {3, 4, 5, 6}, {0}, {2, 6}, {}} {
			t.Run(fmt.Sprintf("%s %v", c.name, taps), func(t *testing.T) {
				owner, as, n := make([]int, len(texts)), []*Adapter{c.a}, len(taps)
				x, states := tap(t, enc, texts, owner, as, taps)
				for i, s := range all {
					golden.Near(t, "pooled", x[i*d:(i+1)*d], ref.pool(s[L], PoolMean), 2e-6, 2e-5)
					for k, l := range taps {
						golden.Near(t, fmt.Sprint("tap ", l), tapped(states, i, k, n, d), ref.pool(s[l], PoolMean),
							2e-6, 2e-5)
					}
				}
				if !slices.Equal(x, embed(t, enc, texts, owner, as)) {
					t.Error("got another embedding with taps than without")
				}
				for i := range texts {
					if n > 0 && taps[n-1] == L && !slices.Equal(tapped(states, i, n-1, n, d), x[i*d:(i+1)*d]) {
						t.Errorf("text %d: got a last tap that is not its embedding", i)
					}
					if _, alone := tap(t, enc, texts[i:i+1], owner[:1], as, taps); !slices.Equal(alone,
						states[i*n*d:(i+1)*n*d]) {
						t.Errorf("text %d: got other taps alone than among %d", i, len(texts))
					}
				}
			})
		}
	}
}

// TestTapsAgainstGo compares with the naive pass, for every pooling, with adapters of several kinds
// in one batch.
func TestTapsAgainstGo(t *testing.T) {
	for _, m := range tinies {
		t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
			enc := openEncoder(t, m.writeF32(t))
			naives, as := adaptersOf(m)
			taps, owner := []int{0, m.L}, []int{0, 1, 2}
			if m.L > 1 {
				taps = []int{0, m.L - 1, m.L}
			}
			x, states := tap(t, enc, tinyTexts, owner, as, taps)
			for i, text := range tinyTexts {
				ref := &naive{config: m.config(), weights: m.weights(), adapter: naives[i]}
				all := ref.states(text)
				golden.Near(t, "pooled", x[i*m.H:(i+1)*m.H], ref.pool(all[m.L], enc.pooling), 2e-5, 2e-5)
				for k, l := range taps {
					want := ref.pool(all[l], PoolMean)
					golden.Near(t, fmt.Sprintf("text %d, tap %d", i, l), tapped(states, i, k, len(taps), m.H), want,
						2e-5, 2e-5)
				}
			}
		})
	}
}

// TestTapsRefuse: what is no tap of the model, or no place for the states, is an error, and a panic
// of the kernels.
func TestTapsRefuse(t *testing.T) {
	m := tinies[0]
	enc := openEncoder(t, m.writeF32(t))
	text := tinyTexts[:1]
	for _, c := range []struct {
		taps  []int
		short int // values that are missing
		want  string
	}{
		{[]int{-1}, 0, "taps [-1]"}, {[]int{3}, 0, "taps [3]"}, {[]int{1, 0}, 0, "taps [1 0]"},
		{[]int{0, 1, 1}, 0, "taps [0 1 1]"}, {[]int{1 << 32}, 0, "taps [4294967296]"},
		{[]int{0, 2}, 1, "63 of 2 taps"}, {[]int{0}, -32, "64 of 1 taps"}, {nil, -1, "1 of 0 taps"},
	} {
		states := make([]float32, len(c.taps)*m.H-c.short)
		err := enc.Embed(text, nil, nil, make([]float32, m.H), c.taps, states)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want an error of %q", c.taps, err, c.want)
		}
		if got := kernelsPanic(t, enc, text[0], c.taps, states); len(c.taps) == 0 || c.taps[0] < 1<<31 {
			if !strings.Contains(got, c.want) {
				t.Errorf("the kernels, %v: got a panic of %q, want %q", c.taps, got, c.want)
			}
		}
	}
}

// kernelsPanic is what the kernels say to a text and taps that model did not check.
func kernelsPanic(t *testing.T, enc *Encoder, text Encoding, taps []int, states []float32) (said string) {
	kernels, err := enc.packed(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { said = fmt.Sprint(recover()) }()
	blocks := make([]int32, len(taps))
	for i, l := range taps {
		blocks[i] = int32(l)
	}
	b := bert.Batch{IDs: text.IDs, Types: text.TypeIDs, Lengths: []int32{int32(len(text.IDs))}, Owners: []int32{-1}}
	kernels.Embed(b, nil, bert.Mean, make([]float32, enc.Hidden()), blocks, states)
	return ""
}
