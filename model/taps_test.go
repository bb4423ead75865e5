//go:build cgo

package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/bert"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/internal/torchtest"
)

// tapEach is EmbedEach with taps.
func tapEach(t *testing.T, enc *Encoder, texts []Encoding, owner []int, as []*EachAdapter, taps []int) (x, states []float32) {
	t.Helper()
	x = make([]float32, len(texts)*enc.Hidden())
	states = make([]float32, len(taps)*len(x))
	if err := enc.EmbedEach(texts, owner, as, x, taps, states); err != nil {
		t.Fatal(err)
	}
	return x, states
}

// tapTorch is EmbedTaps; a makes the adapter, nil for none.
func tapTorch(t *testing.T, e *torch.Engine, enc *Encoder, texts []Encoding, a func(*torch.Scope) *Adapter, taps []int) (x, states []float32) {
	t.Helper()
	b := newBatch(t, texts)
	err := e.Do(context.Background(), func(s *torch.Scope) error {
		var adapter *Adapter
		if a != nil {
			adapter = a(s)
		}
		pooled, tapped := enc.EmbedTaps(s, b, adapter, taps)
		if x = s.Values(pooled); len(taps) > 0 {
			states = s.Values(tapped)
		} else if tapped != (torch.Tensor{}) {
			t.Error("no taps: got states")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x, states
}

// tapped is tap k of n of text i.
func tapped(states []float32, i, k, n, d int) []float32 { return states[(i*n+k)*d : (i*n+k+1)*d] }

// foldedGolden is PyTorch's folded adapter in the real model's last blocks, for both passes.
func foldedGolden(t *testing.T, L, blocks, d int) (*EachAdapter, func(*torch.Scope) *Adapter) {
	f := golden.Open(t, "xpeft.safetensors")
	b := int(f.Shape("hard_fold_A")[2])
	from := (L - blocks) * d * b
	each := &EachAdapter{Blocks: blocks, Bottleneck: b, Down: f.Floats("hard_fold_A")[from:], Up: f.Floats("hard_fold_B")[from:]}
	return each, func(s *torch.Scope) *Adapter {
		a := &Adapter{}
		for l := range blocks {
			at := l * d * b
			a.Blocks = append(a.Blocks, BlockAdapter{Down: s.Float32s(each.Down[at:at+d*b], int64(d), int64(b)), Up: s.Float32s(each.Up[at:at+d*b], int64(b), int64(d))})
		}
		return a
	}
}

// TestTaps compares the real model's taps with libtorch's, bare and with an adapter in the last blocks. Of a model that pools by the mean, the last one is the
// embedding itself; a text has the same alone and in a batch; taps change no embedding.
func TestTaps(t *testing.T) {
	needKernels(t)
	e := torchtest.Open(t)
	enc := openEncoder(t, e, golden.Model(t))
	texts, d, L := goldenTexts(golden.Open(t, "forward.safetensors")), enc.Hidden(), enc.Blocks()
	each, torchs := foldedGolden(t, L, 2, d)
	for _, c := range []struct {
		name  string
		each  *EachAdapter
		torch func(*torch.Scope) *Adapter
	}{{"bare", nil, nil}, {"two blocks", each, torchs}} {
		for _, taps := range [][]int{{0, 1, 2, 3, 4, 5, 6}, {3, 4, 5, 6}, {0}, {2, 6}, {}} {
			t.Run(fmt.Sprintf("%s %v", c.name, taps), func(t *testing.T) {
				owner, as, n := make([]int, len(texts)), []*EachAdapter{c.each}, len(taps)
				x, states := tapEach(t, enc, texts, owner, as, taps)
				wantX, want := tapTorch(t, e, enc, texts, c.torch, taps)
				golden.Near(t, "pooled", x, wantX, 2e-6, 2e-5)
				golden.Near(t, "taps", states, want, 2e-6, 2e-5)
				if !slices.Equal(x, embedEach(t, enc, texts, owner, as)) {
					t.Error("got another embedding with taps than without")
				}
				for i := range texts {
					if n > 0 && taps[n-1] == L && !slices.Equal(tapped(states, i, n-1, n, d), x[i*d:(i+1)*d]) {
						t.Errorf("text %d: got a last tap that is not its embedding", i)
					}
					if _, alone := tapEach(t, enc, texts[i:i+1], owner[:1], as, taps); !slices.Equal(alone, states[i*n*d:(i+1)*n*d]) {
						t.Errorf("text %d: got other taps alone than among %d", i, len(texts))
					}
				}
			})
		}
	}
}

// TestTapsAgainstGo compares both passes with the naive one, for every pooling, with adapters of several kinds in one batch.
func TestTapsAgainstGo(t *testing.T) {
	needKernels(t)
	e := torchtest.Open(t)
	for _, m := range []tiny{
		{L: 3, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"},
		{L: 2, H: 48, heads: 3, wide: 16, act: "relu", pooling: "cls_token"},
		{L: 1, H: 64, heads: 1, wide: 400, act: "gelu_new", pooler: true},
	} {
		t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
			enc := openEncoder(t, e, m.writeF32(t))
			naives := []*naiveAdapter{nil, newNaiveAdapterOf(m, 8, 1, false, true, false), newNaiveAdapterOf(m, 3, 2, true, false, true)}
			as := []*EachAdapter{nil, each(m, naives[1], m.L, false), each(m, naives[2], m.L, true)}
			taps, owner := []int{0, m.L}, []int{0, 1, 2}
			if m.L > 1 {
				taps = []int{0, m.L - 1, m.L}
			}
			x, states := tapEach(t, enc, tinyTexts, owner, as, taps)
			for i, text := range tinyTexts {
				ref := &naive{config: m.config(), weights: m.weights(), adapter: naives[i]}
				var one func(*torch.Scope) *Adapter
				if i > 0 {
					one = func(s *torch.Scope) *Adapter { return join(s, m, naives[i:i+1], i == 2) }
				}
				pooled, torchs := tapTorch(t, e, enc, []Encoding{text}, one, taps)
				all := ref.states(text)
				golden.Near(t, "pooled", x[i*m.H:(i+1)*m.H], ref.pool(all[m.L], enc.pooling), 2e-5, 2e-5)
				golden.Near(t, "pooled by libtorch", pooled, ref.pool(all[m.L], enc.pooling), 2e-5, 2e-5)
				for k, l := range taps {
					want := ref.pool(all[l], PoolMean)
					golden.Near(t, fmt.Sprintf("text %d, tap %d", i, l), tapped(states, i, k, len(taps), m.H), want, 2e-5, 2e-5)
					golden.Near(t, fmt.Sprintf("text %d, tap %d by libtorch", i, l), tapped(torchs, 0, k, len(taps), m.H), want, 2e-5, 2e-5)
				}
			}
		})
	}
}

// TestTapsRefuse: what is no tap of the model, or no place for the states, is an error, and a panic of the kernels.
func TestTapsRefuse(t *testing.T) {
	e := torchtest.Open(t)
	m := tiny{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"}
	enc := openEncoder(t, e, m.writeF32(t))
	text := tinyTexts[:1]
	for _, c := range []struct {
		taps  []int
		short int // values that are missing
		want  string
	}{
		{[]int{-1}, 0, "taps [-1]"}, {[]int{3}, 0, "taps [3]"}, {[]int{1, 0}, 0, "taps [1 0]"}, {[]int{0, 1, 1}, 0, "taps [0 1 1]"}, {[]int{1 << 32}, 0, "taps [4294967296]"},
		{[]int{0, 2}, 1, "63 of 2 taps"}, {[]int{0}, -32, "64 of 1 taps"}, {nil, -1, "1 of 0 taps"},
	} {
		if c.short == 0 {
			err := e.Do(context.Background(), func(s *torch.Scope) error { enc.EmbedTaps(s, newBatch(t, text), nil, c.taps); return nil })
			if te := (*torch.Error)(nil); !errors.As(err, &te) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("EmbedTaps, %v: got %v, want an error of %q", c.taps, err, c.want)
			}
		}
		if !bert.Supported() {
			continue
		}
		states := make([]float32, len(c.taps)*m.H-c.short)
		err := enc.EmbedEach(text, []int{0}, []*EachAdapter{nil}, make([]float32, m.H), c.taps, states)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("EmbedEach, %v: got %v, want an error of %q", c.taps, err, c.want)
		}
		if got := kernelsPanic(enc, text[0], c.taps, states); len(c.taps) == 0 || c.taps[0] < 1<<31 {
			if !strings.Contains(got, c.want) {
				t.Errorf("the kernels, %v: got a panic of %q, want %q", c.taps, got, c.want)
			}
		}
	}
}

// kernelsPanic is what the kernels say to a text and taps that model did not check.
func kernelsPanic(enc *Encoder, text Encoding, taps []int, states []float32) (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	blocks := make([]int32, len(taps))
	for i, l := range taps {
		blocks[i] = int32(l)
	}
	b := bert.Batch{IDs: text.IDs, Types: text.TypeIDs, Lengths: []int32{int32(len(text.IDs))}, Owners: []int32{-1}}
	enc.kernels.Embed(b, nil, bert.Mean, make([]float32, enc.Hidden()), blocks, states)
	return ""
}
