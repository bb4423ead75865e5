//go:build cgo

package model

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/internal/bert"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/internal/torchtest"
)

// needKernels skips where EmbedEach has none.
func needKernels(t *testing.T) {
	t.Helper()
	if !bert.Supported() {
		t.Skip("this CPU has no AVX2 or no FMA: EmbedEach is not used")
	}
}

// embedEach is one text after another's vector; whose adapter is nil has none.
func embedEach(t *testing.T, enc *Encoder, texts []Encoding, owner []int, as []*EachAdapter) []float32 {
	t.Helper()
	if !enc.CanEmbedEach() {
		t.Fatal("CanEmbedEach is false, want true")
	}
	x := make([]float32, len(texts)*enc.Hidden())
	if err := enc.EmbedEach(texts, owner, as, x, nil, nil); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestGoldenEach compares the real model's pooled states with PyTorch's.
func TestGoldenEach(t *testing.T) {
	needKernels(t)
	enc := openEncoder(t, torchtest.Open(t), golden.Model(t))
	f := golden.Open(t, "forward.safetensors")
	texts := goldenTexts(f)
	got := embedEach(t, enc, texts, make([]int, len(texts)), []*EachAdapter{nil})
	golden.Near(t, "mean_pooled", got, f.Floats("mean_pooled"), 2e-6, 0)
}

// goldenTexts are a file's, without their padding.
func goldenTexts(f golden.File) []Encoding {
	ids, mask, shape := f.Ints("ids"), f.Ints("mask"), f.Shape("ids")
	texts := make([]Encoding, shape[0])
	for i := range mask {
		if row := &texts[i/int(shape[1])]; mask[i] == 1 {
			row.IDs, row.TypeIDs = append(row.IDs, int32(ids[i])), append(row.TypeIDs, 0)
		}
	}
	return texts
}

// each is a naive adapter of the last blocks.
func each(m tiny, a *naiveAdapter, blocks int, bias bool) *EachAdapter {
	e := &EachAdapter{Blocks: blocks, Bottleneck: a.b}
	if a.relu {
		e.Activation = ReLU
	}
	for l := m.L - blocks; l < m.L; l++ {
		e.Down, e.Up = append(e.Down, a.down[l]...), append(e.Up, a.up[l]...)
		if bias {
			e.DownBias, e.UpBias = append(e.DownBias, a.downBias[l]...), append(e.UpBias, a.upBias[l]...)
		}
		if a.norm {
			e.Norm = append(append(e.Norm, a.normWeight[l]...), a.normBias[l]...)
		}
	}
	return e
}

// TestEachAgainstGo compares models and adapters of several shapes with the naive ones, all in one batch, and each text with itself alone, to the bit.
func TestEachAgainstGo(t *testing.T) {
	needKernels(t)
	e := torchtest.Open(t)
	for _, m := range []tiny{
		{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"},
		{L: 3, H: 48, heads: 3, wide: 16, act: "relu", pooling: "cls_token"},
		{L: 1, H: 64, heads: 1, wide: 400, act: "gelu_new", pooler: true},
		{L: 1, H: 400, heads: 25, wide: 800, act: "gelu", pooling: "mean_tokens"}, // more inputs than a panel takes at once
	} {
		t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
			enc := openEncoder(t, e, m.writeF32(t))
			naives := []*naiveAdapter{nil, newNaiveAdapterOf(m, 8, 1, false, true, false), newNaiveAdapterOf(m, 3, 2, true, false, true), newNaiveAdapterOf(m, 20, 3, false, true, true)}
			as := []*EachAdapter{nil, each(m, naives[1], m.L, false), each(m, naives[2], m.L, true), each(m, naives[3], m.L, true)}
			var texts []Encoding
			var owner []int
			for o := range as {
				for i, text := range tinyTexts {
					texts, owner = append(texts, text), append(owner, (o+i)%len(as))
				}
			}
			got := embedEach(t, enc, texts, owner, as)
			for i, text := range texts {
				x := got[i*m.H : (i+1)*m.H]
				ref := &naive{config: m.config(), weights: m.weights(), adapter: naives[owner[i]]}
				golden.Near(t, fmt.Sprintf("text %d, adapter %d", i, owner[i]), x, ref.pool(ref.forward(text), enc.pooling), 2e-5, 2e-5)
				if alone := embedEach(t, enc, texts[i:i+1], owner[i:i+1], as); !slices.Equal(x, alone) {
					t.Errorf("text %d: alone it has another vector than among %d", i, len(texts))
				}
			}
		})
	}
}

// TestEachLastBlocks has adapters in the last block only, beside some in both, against libtorch.
func TestEachLastBlocks(t *testing.T) {
	needKernels(t)
	e := torchtest.Open(t)
	m := tiny{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"}
	enc := openEncoder(t, e, m.writeF32(t))
	a := newNaiveAdapter(m, 5, false, true, false)
	got := embedEach(t, enc, tinyTexts[:2], []int{0, 1}, []*EachAdapter{each(m, a, 1, false), each(m, a, 2, false)})
	for i, text := range tinyTexts[:2] {
		b := newBatch(t, []Encoding{text})
		want := compute(t, e, func(s *torch.Scope) torch.Tensor {
			joined := join(s, m, []*naiveAdapter{a}, false)
			joined.Blocks = joined.Blocks[1-i:]
			return enc.Embed(s, b, joined)
		})
		golden.Near(t, fmt.Sprint("blocks: ", i+1), got[i*m.H:(i+1)*m.H], want, 1e-5, 1e-5)
	}
}

// TestEachConcurrent has many passes of many lengths at once, which share the model and its buffers.
func TestEachConcurrent(t *testing.T) {
	needKernels(t)
	m := tiny{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"}
	enc := openEncoder(t, torchtest.Open(t), m.writeF32(t))
	want := embedEach(t, enc, tinyTexts, make([]int, len(tinyTexts)), []*EachAdapter{nil})
	var all sync.WaitGroup
	for i := range 2 * runtime.GOMAXPROCS(0) {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := range 50 {
				n := 1 + (i+j)%len(tinyTexts)
				x := make([]float32, n*m.H)
				if err := enc.EmbedEach(tinyTexts[:n], make([]int, n), []*EachAdapter{nil}, x, nil, nil); err != nil || !slices.Equal(x, want[:n*m.H]) {
					t.Errorf("another result beside others (%v)", err)
				}
			}
		}()
	}
	all.Wait()
}

// TestEachNotFinite keeps what is not finite in its own text.
func TestEachNotFinite(t *testing.T) {
	needKernels(t)
	m := tiny{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"}
	enc := openEncoder(t, torchtest.Open(t), m.writeF32(t))
	bad := each(m, newNaiveAdapter(m, 5, false, true, false), 2, false)
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32} {
		for i := range bad.Up {
			bad.Up[i] = v
		}
		got := embedEach(t, enc, tinyTexts[:2], []int{0, 1}, []*EachAdapter{bad, nil})
		want := embedEach(t, enc, tinyTexts[1:2], []int{0}, []*EachAdapter{nil})
		if !slices.Equal(got[m.H:], want) {
			t.Errorf("%v: another text's vector changed", v)
		}
		if x := got[0]; x-x == 0 {
			t.Errorf("%v: got %v, want nothing finite", v, x)
		}
	}
}

func TestEachRefuses(t *testing.T) {
	needKernels(t)
	e := torchtest.Open(t)
	small := openEncoder(t, e, tinyDefault.writeF32(t))
	err := small.EmbedEach([]Encoding{{IDs: []int32{1}, TypeIDs: []int32{0}}}, []int{0}, []*EachAdapter{nil}, make([]float32, small.Hidden()), nil, nil)
	if small.CanEmbedEach() || err == nil {
		t.Errorf("inner states of %d values: CanEmbedEach is %t, EmbedEach says %v, want an error", small.config.IntermediateSize, small.CanEmbedEach(), err)
	}
	m := tiny{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"}
	enc := openEncoder(t, e, m.writeF32(t))
	good := Encoding{IDs: []int32{1, 2}, TypeIDs: []int32{0, 0}}
	fits := each(m, newNaiveAdapter(m, 5, false, true, false), 2, false)
	change := func(f func(a *EachAdapter)) *EachAdapter { a := *fits; f(&a); return &a }
	for what, c := range map[string]struct {
		text Encoding
		a    *EachAdapter
	}{
		"0 tokens":   {Encoding{}, nil},
		"0 types":    {Encoding{IDs: []int32{1}}, nil},
		"token 40":   {Encoding{IDs: []int32{40}, TypeIDs: []int32{0}}, nil},
		"token -1":   {Encoding{IDs: []int32{-1}, TypeIDs: []int32{0}}, nil},
		"of type 2":  {Encoding{IDs: []int32{1}, TypeIDs: []int32{2}}, nil},
		"17 tokens":  {Encoding{IDs: make([]int32, 17), TypeIDs: make([]int32, 17)}, nil},
		"of 3 bl":    {good, change(func(a *EachAdapter) { a.Blocks = 3 })},
		"b=5":        {good, change(func(a *EachAdapter) { a.Bottleneck = 5 })},
		"does not f": {good, change(func(a *EachAdapter) { a.Down = a.Down[1:] })},
		"not fit 2":  {good, change(func(a *EachAdapter) { a.Norm = a.Norm[1:] })},
		"that does":  {good, change(func(a *EachAdapter) { a.UpBias = make([]float32, 1) })},
	} {
		if err := enc.EmbedEach([]Encoding{c.text}, []int{0}, []*EachAdapter{c.a}, make([]float32, m.H), nil, nil); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := enc.EmbedEach([]Encoding{good}, []int{0}, []*EachAdapter{nil}, make([]float32, m.H-1), nil, nil); err == nil {
		t.Error("a vector too short: no error")
	}
}

// TestEmbedEachAlone wants EmbedEach to work without a CanEmbedEach before it.
func TestEmbedEachAlone(t *testing.T) {
	needKernels(t)
	m := tiny{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"}
	enc := openEncoder(t, torchtest.Open(t), m.writeF32(t))
	x := make([]float32, enc.Hidden())
	text := Encoding{IDs: []int32{1, 2}, TypeIDs: []int32{0, 0}}
	if err := enc.EmbedEach([]Encoding{text}, []int{0}, []*EachAdapter{nil}, x, nil, nil); err != nil || x[0] == 0 {
		t.Errorf("got %v, %v, want an embedding", x[:1], err)
	}
}
