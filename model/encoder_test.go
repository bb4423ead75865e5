//go:build cgo

package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/internal/torchtest"
)

// TestGoldenForward compares the real model with PyTorch's states of twelve texts, padded together.
func TestGoldenForward(t *testing.T) {
	e := torchtest.Open(t)
	enc := openEncoder(t, e, golden.Model(t))
	f := golden.Open(t, "forward.safetensors")
	ids, mask, shape := f.Ints("ids"), f.Ints("mask"), f.Shape("ids")
	B, T := int(shape[0]), int(shape[1])
	texts := make([]Encoding, B)
	for i := range texts {
		for j := range T {
			if mask[i*T+j] == 1 {
				texts[i].IDs = append(texts[i].IDs, int32(ids[i*T+j]))
				texts[i].TypeIDs = append(texts[i].TypeIDs, 0)
			}
		}
	}
	b := newBatch(t, texts)
	if b.T != T || enc.config.HiddenSize != 384 || enc.pooling != PoolMean {
		t.Fatalf("got T=%d, d=%d, pooling %s, want %d, 384, mean", b.T, enc.config.HiddenSize, enc.pooling, T)
	}
	var states, pooled []float32
	err := e.Do(context.Background(), func(s *torch.Scope) error {
		x := enc.Forward(s, b, nil)
		states, pooled = s.Values(x), s.Values(enc.Pool(s, x, b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got, want []float32
	hidden := f.Floats("last_hidden")
	for i := range B {
		got, want = append(got, rowStates(states, b, i, 384)...), append(want, rowStates(hidden, b, i, 384)...)
	}
	golden.Near(t, "last_hidden", got, want, 2e-5, 0)
	golden.Near(t, "mean_pooled", pooled, f.Floats("mean_pooled"), 2e-5, 0)
}

// TestEncoderAgainstGo compares models of several shapes with the naive one: states, every pooling, padding, pairs.
func TestEncoderAgainstGo(t *testing.T) {
	e := torchtest.Open(t)
	for _, m := range []tiny{
		tinyDefault,
		{L: 1, H: 24, heads: 3, act: "relu", pooling: "cls_token"},
		{L: 3, H: 20, heads: 1, act: "gelu_new", pooler: true},
		{L: 2, H: 16, heads: 16, act: "gelu", pooler: true, pooling: "mean_tokens"},
		{L: 1, H: 8, heads: 2, act: "gelu"}, // no pooler, no config: CLS
	} {
		t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
			enc := openEncoder(t, e, m.writeF32(t))
			if enc.Blocks() != m.L || enc.Hidden() != m.H {
				t.Errorf("got L=%d, d=%d, want %d, %d", enc.Blocks(), enc.Hidden(), m.L, m.H)
			}
			ref := &naive{config: m.config(), weights: m.weights()}
			b := newBatch(t, tinyTexts)
			states := compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Forward(s, b, nil) })
			pooled := compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, b, nil) })
			for i, text := range tinyTexts {
				want := ref.forward(text)
				golden.Near(t, "states", rowStates(states, b, i, m.H), flat(want), 1e-5, 1e-5)
				golden.Near(t, enc.pooling.String(), pooled[i*m.H:(i+1)*m.H], ref.pool(want, enc.pooling), 1e-5, 1e-5)
			}
		})
	}
}

// newNaiveAdapter makes a random adapter for m.
func newNaiveAdapter(m tiny, seed uint64, relu, norm, bias bool) *naiveAdapter {
	return newNaiveAdapterOf(m, 4, seed, relu, norm, bias)
}

func newNaiveAdapterOf(m tiny, b int, seed uint64, relu, norm, bias bool) *naiveAdapter {
	rng := rand.New(rand.NewPCG(seed, 9))
	a := &naiveAdapter{b: b, relu: relu, norm: norm}
	random := func(n int, scale, shift float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64()*scale + shift)
		}
		return v
	}
	scale := 0.0
	if bias {
		scale = 0.3
	}
	for range m.L {
		a.down, a.up = append(a.down, random(m.H*a.b, 0.3, 0)), append(a.up, random(m.H*a.b, 0.3, 0))
		a.downBias, a.upBias = append(a.downBias, random(a.b, scale, 0)), append(a.upBias, random(m.H, scale, 0))
		a.normWeight, a.normBias = append(a.normWeight, random(a.b, 0.2, 1)), append(a.normBias, random(a.b, 0.2, 0))
	}
	return a
}

// join is adapters as tensors: one for all rows, or one a row.
func join(s *torch.Scope, m tiny, as []*naiveAdapter, bias bool) *Adapter {
	first := as[0]
	out := &Adapter{NormB: first.norm}
	if first.relu {
		out.Activation = ReLU
	}
	each := len(as) > 1
	tensor := func(part func(*naiveAdapter) []float32, rows, cols int) torch.Tensor {
		var v []float32
		for _, a := range as {
			v = append(v, part(a)...)
		}
		switch {
		case each:
			return s.Float32s(v, int64(len(as)), int64(rows), int64(cols))
		case rows == 1:
			return s.Float32s(v, int64(cols))
		}
		return s.Float32s(v, int64(rows), int64(cols))
	}
	for l := range m.L {
		blk := BlockAdapter{
			Down: tensor(func(a *naiveAdapter) []float32 { return a.down[l] }, m.H, first.b),
			Up:   tensor(func(a *naiveAdapter) []float32 { return a.up[l] }, first.b, m.H),
		}
		if bias {
			blk.DownBias = tensor(func(a *naiveAdapter) []float32 { return a.downBias[l] }, 1, first.b)
			blk.UpBias = tensor(func(a *naiveAdapter) []float32 { return a.upBias[l] }, 1, m.H)
		}
		if first.norm {
			blk.NormWeight = tensor(func(a *naiveAdapter) []float32 { return a.normWeight[l] }, 1, first.b)
			blk.NormBias = tensor(func(a *naiveAdapter) []float32 { return a.normBias[l] }, 1, first.b)
		}
		out.Blocks = append(out.Blocks, blk)
	}
	return out
}

// TestAdapterAgainstGo: one adapter for all rows and one a row, with and without each of its parts.
func TestAdapterAgainstGo(t *testing.T) {
	e := torchtest.Open(t)
	m := tinyDefault
	enc := openEncoder(t, e, m.writeF32(t))
	b := newBatch(t, tinyTexts)
	for _, c := range []struct{ relu, norm, bias, each bool }{
		{norm: true}, {norm: true, each: true}, {relu: true, bias: true}, {relu: true, bias: true, each: true},
		{relu: true, norm: true, bias: true, each: true}, {},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			as := []*naiveAdapter{newNaiveAdapter(m, 1, c.relu, c.norm, c.bias)}
			if c.each {
				for i := range len(tinyTexts) - 1 {
					as = append(as, newNaiveAdapter(m, uint64(2+i), c.relu, c.norm, c.bias))
				}
			}
			states := compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Forward(s, b, join(s, m, as, c.bias)) })
			again := compute(t, e, func(s *torch.Scope) torch.Tensor {
				stem := enc.Stem(s, b, 0)
				enc.Upper(s, stem, b, 0, nil) // leaves the stem as it is
				return enc.Upper(s, stem, b, 0, join(s, m, as, c.bias))
			})
			if !slices.Equal(states, again) {
				t.Error("Stem and Upper: got other states than Forward's")
			}
			for i, text := range tinyTexts {
				ref := &naive{config: m.config(), weights: m.weights(), adapter: as[min(i, len(as)-1)]}
				golden.Near(t, "states", rowStates(states, b, i, m.H), flat(ref.forward(text)), 1e-5, 1e-5)
			}
		})
	}
}

// TestDTypes: a file of halves gives what a file of the same values in F32 gives, and nearly what the unrounded weights give.
func TestDTypes(t *testing.T) {
	e := torchtest.Open(t)
	m := tinyDefault
	b := newBatch(t, tinyTexts)
	embed := func(t *testing.T, dir string) []float32 {
		enc := openEncoder(t, e, dir)
		return compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, b, nil) })
	}
	plain := embed(t, m.writeF32(t))
	// Products may differ in their last bits with the address of a weight.
	golden.Near(t, "with the prefix bert.", embed(t, m.write(t, m.weights(), "bert.", "F32", appendF32)), plain, 5e-6, 0)
	for _, c := range []struct {
		dtype     string
		round     func(float32) float32
		encode    func([]byte, float32) []byte
		tolerance float64
	}{
		{"F16", func(v float32) float32 { return half.To(half.From(v)) },
			func(b []byte, v float32) []byte { return binary.LittleEndian.AppendUint16(b, half.From(v)) }, 5e-3},
		{"BF16", func(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ 0xffff) },
			func(b []byte, v float32) []byte {
				return binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(v)>>16))
			}, 1e-1},
	} {
		t.Run(c.dtype, func(t *testing.T) {
			rounded := m.weights()
			for _, w := range rounded {
				for i := range w {
					w[i] = c.round(w[i])
				}
			}
			got := embed(t, m.write(t, rounded, "", c.dtype, c.encode))
			golden.Near(t, "the same in F32", got, embed(t, m.write(t, rounded, "", "F32", appendF32)), 5e-6, 0)
			golden.Near(t, "unrounded", got, plain, c.tolerance, 0)
		})
	}
}

// TestUnalignedWeights: a header of odd length moves every tensor off its alignment.
func TestUnalignedWeights(t *testing.T) {
	e := torchtest.Open(t)
	b := newBatch(t, tinyTexts)
	embed := func(dir string) []float32 {
		enc := openEncoder(t, e, dir)
		return compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, b, nil) })
	}
	appendHalf := func(b []byte, v float32) []byte { return binary.LittleEndian.AppendUint16(b, half.From(v)) }
	for dtype, dir := range map[string]string{
		"F32": tinyDefault.writeF32(t),
		"F16": tinyDefault.write(t, tinyDefault.weights(), "", "F16", appendHalf),
	} {
		want := embed(dir)
		path := filepath.Join(dir, "model.safetensors")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := binary.LittleEndian.Uint64(data)
		header := append(slices.Clone(data[8:8+n]), ' ')
		odd := append(binary.LittleEndian.AppendUint64(nil, n+1), append(header, data[8+n:]...)...)
		writeFile(t, dir, "odd", string(odd))
		if err := os.Rename(filepath.Join(dir, "odd"), path); err != nil { // the old file is mapped
			t.Fatal(err)
		}
		golden.Near(t, dtype, embed(dir), want, 5e-6, 0)
	}
}

// TestPaddingDoesNotMatter: a text alone and in a batch of longer ones, whatever the padding's id.
func TestPaddingDoesNotMatter(t *testing.T) {
	e := torchtest.Open(t)
	enc := openEncoder(t, e, golden.Model(t))
	tok, err := LoadTokenizer(golden.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]Encoding, 3)
	for i, text := range []string{"hello", "the quick brown fox jumps over the lazy dog", strings.Repeat("and so on ", 20)} {
		tok.Encode(&texts[i], text, "", 64)
	}
	embed := func(b *Batch) []float32 {
		return compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, b, nil) })
	}
	odd, err := NewBatch(texts, 100)
	if err != nil {
		t.Fatal(err)
	}
	together, other := embed(newBatch(t, texts)), embed(odd)
	d := enc.Hidden()
	for i := range texts {
		alone := embed(newBatch(t, texts[i:i+1]))
		golden.Near(t, "in a batch", together[i*d:(i+1)*d], alone, 1e-5, 0)
		golden.Near(t, "with another padding", other[i*d:(i+1)*d], alone, 1e-5, 0)
	}
}

// TestBadBatches: what does not fit the model is an error, never a crash.
func TestBadBatches(t *testing.T) {
	e := torchtest.Open(t)
	enc := openEncoder(t, e, tinyDefault.writeF32(t))
	for name, spoil := range map[string]func(*Batch){
		"id below 0":           func(b *Batch) { b.IDs[3] = -1 },
		"id of the vocabulary": func(b *Batch) { b.IDs[3] = 40 },
		"type below 0":         func(b *Batch) { b.TypeIDs[3] = -1 },
		"type 2":               func(b *Batch) { b.TypeIDs[3] = 2 },
		"length 0":             func(b *Batch) { b.Lengths[1] = 0 },
		"length beyond T":      func(b *Batch) { b.Lengths[1] = b.T + 1 },
		"a length missing":     func(b *Batch) { b.Lengths = b.Lengths[1:] },
		"an id missing":        func(b *Batch) { b.IDs = b.IDs[1:] },
		"a type missing":       func(b *Batch) { b.TypeIDs = nil },
		"no rows":              func(b *Batch) { *b = Batch{} },
		"too many tokens":      func(b *Batch) { *b = *newBatch(t, []Encoding{{IDs: make([]int32, 17), TypeIDs: make([]int32, 17)}}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBatch(t, tinyTexts)
			spoil(b)
			err := e.Do(context.Background(), func(s *torch.Scope) error { enc.Embed(s, b, nil); return nil })
			var te *torch.Error
			if !errors.As(err, &te) || te.Op != "encode" {
				t.Errorf("got %v, want an error of encode", err)
			}
		})
	}
	for blocks, want := range map[int]string{0: "0 blocks", 1: "nothing in block 0", enc.Blocks() + 1: fmt.Sprintf("%d blocks", enc.Blocks()+1)} {
		err := e.Do(context.Background(), func(s *torch.Scope) error {
			enc.Embed(s, newBatch(t, tinyTexts), &Adapter{Blocks: make([]BlockAdapter, blocks)})
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an empty adapter of %d blocks: got %v, want an error about it", blocks, err)
		}
	}
}

// TestLastBlocks: an adapter in the last block only is one whose lower blocks add nothing, and the part below it may be computed once.
func TestLastBlocks(t *testing.T) {
	e := torchtest.Open(t)
	enc := openEncoder(t, e, tinyDefault.writeF32(t))
	b, d, L := newBatch(t, tinyTexts), int64(enc.Hidden()), enc.Blocks()
	rng := rand.New(rand.NewPCG(3, 4))
	values := func(n int64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	down, up := values(d*3), values(3*d)
	last := func(s *torch.Scope) BlockAdapter {
		return BlockAdapter{Down: s.Float32s(down, d, 3), Up: s.Float32s(up, 3, d)}
	}
	short := compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, b, &Adapter{Blocks: []BlockAdapter{last(s)}}) })
	full := compute(t, e, func(s *torch.Scope) torch.Tensor {
		a := &Adapter{}
		for range L - 1 {
			a.Blocks = append(a.Blocks, BlockAdapter{Down: s.Float32s(down, d, 3), Up: s.Zeros(torch.Float32, 3, d)})
		}
		a.Blocks = append(a.Blocks, last(s))
		return enc.Embed(s, b, a)
	})
	kept := compute(t, e, func(s *torch.Scope) torch.Tensor {
		stem := enc.Stem(s, b, L-1)
		return enc.Pool(s, enc.Upper(s, stem, b, L-1, &Adapter{Blocks: []BlockAdapter{last(s)}}), b)
	})
	bare := compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, b, nil) })
	golden.Near(t, "the last block only", short, full, 1e-6, 0)
	golden.Near(t, "with the rest computed before", kept, short, 1e-6, 0)
	if slices.Equal(short, bare) {
		t.Error("the adapter does nothing: the test could not fail")
	}
}

func TestEncoderClose(t *testing.T) {
	e := torchtest.Open(t)
	c, err := OpenCheckpoint(tinyDefault.writeF32(t))
	if err != nil {
		t.Fatal(err)
	}
	enc, err := NewEncoder(context.Background(), e, c)
	if err != nil {
		t.Fatal(err)
	}
	if e.Live() == 0 {
		t.Error("got no live handles of an open encoder")
	}
	for range 2 {
		if err := enc.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if n := e.Live(); n != 0 {
		t.Errorf("got %d live handles, want 0", n)
	}
	err = e.Do(context.Background(), func(s *torch.Scope) error { enc.Embed(s, newBatch(t, tinyTexts), nil); return nil })
	if err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: got %v, want an error", err)
	}
}

// TestNewEncoderFails halfway: by a missing tensor, by an operator, by its context. Nothing stays behind, and the checkpoint is the caller's.
func TestNewEncoderFails(t *testing.T) {
	e := torchtest.Open(t)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	last := "encoder.layer.1.output.dense.weight"
	for name, c := range map[string]struct {
		ctx   context.Context
		spoil func(*Checkpoint)
	}{
		"tensor":   {context.Background(), func(c *Checkpoint) { delete(c.index, last) }},
		"qkv":      {context.Background(), func(c *Checkpoint) { delete(c.index, "encoder.layer.1.attention.self.value.bias") }},
		"operator": {context.Background(), func(c *Checkpoint) { c.weights[c.index[last]].tensor.Shape = []int64{7} }},
		"context":  {cancelled, func(c *Checkpoint) {}},
	} {
		t.Run(name, func(t *testing.T) {
			ckpt, err := OpenCheckpoint(tinyDefault.writeF32(t))
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(ckpt)
			if enc, err := NewEncoder(c.ctx, e, ckpt); err == nil || enc != nil {
				t.Errorf("got %v, want an error", err)
			}
			if n := e.Live(); n != 0 {
				t.Errorf("got %d live handles, want 0", n)
			}
			if err := ckpt.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCasedAndUncased: the folder decides whether case matters, to the tokens and so to the embedding.
func TestCasedAndUncased(t *testing.T) {
	e := torchtest.Open(t)
	for _, lower := range []bool{false, true} {
		dir := tinyDefault.writeF32(t)
		writeFile(t, dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\n")
		writeFile(t, dir, "tokenizer_config.json", fmt.Sprintf(`{"do_lower_case":%t}`, lower))
		tok, err := LoadTokenizer(dir)
		if err != nil {
			t.Fatal(err)
		}
		enc := openEncoder(t, e, dir)
		embed := func(text string) []float32 {
			var x Encoding
			tok.Encode(&x, text, "", 8)
			return compute(t, e, func(s *torch.Scope) torch.Tensor { return enc.Embed(s, newBatch(t, []Encoding{x}), nil) })
		}
		if same := slices.Equal(embed("Hello"), embed("hello")); same != lower {
			t.Errorf("lower case %t: got the same embedding %t, want %t", lower, same, lower)
		}
	}
}
