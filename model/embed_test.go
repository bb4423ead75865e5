package model

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

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

// TestGoldenForward compares the real model with PyTorch's states of twelve texts, of every token
// and pooled.
func TestGoldenForward(t *testing.T) {
	enc := openEncoder(t, golden.Model(t))
	f := golden.Open(t, "forward.safetensors")
	texts, d, T := goldenTexts(f), enc.Hidden(), int(f.Shape("ids")[1])
	if d != 384 || enc.pooling != PoolMean {
		t.Fatalf("got d=%d, pooling %s, want 384, mean", d, enc.pooling)
	}
	stems, err := enc.Stems(texts, enc.Blocks()-1, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	weight, bias, eps := enc.OuterNorm(enc.Blocks() - 1)
	hidden := f.Floats("last_hidden")
	var got, want []float32
	for i, stem := range stems {
		got = append(got, flat(naiveNorm(rows(stem, d), weight, bias, float64(eps)))...)
		want = append(want, hidden[i*T*d:][:len(stem)]...)
	}
	golden.Near(t, "last_hidden", got, want, 2e-5, 0)
	golden.Near(t, "mean_pooled", bare(t, enc, texts), f.Floats("mean_pooled"), 2e-6, 0)
}

// rows cuts x into rows of d.
func rows(x []float32, d int) matrix {
	out := make(matrix, len(x)/d)
	for i, v := range x {
		out[i/d] = append(out[i/d], float64(v))
	}
	return out
}

// tinies are models of several shapes: of whole registers, and of odd sizes; with every activation
// and pooling.
var tinies = []tiny{
	{L: 2, H: 32, heads: 2, wide: 64, act: "gelu", pooling: "mean_tokens"},
	{L: 3, H: 48, heads: 3, wide: 16, act: "relu", pooling: "cls_token"},
	{L: 1, H: 64, heads: 1, wide: 400, act: "gelu_new", pooler: true},
	{L: 1, H: 400, heads: 25, wide: 800, act: "gelu", pooling: "mean_tokens"}, // more inputs than a panel takes at once
	tinyDefault,
	{L: 1, H: 24, heads: 3, act: "relu", pooling: "cls_token"},
	{L: 3, H: 20, heads: 1, act: "gelu_new", pooler: true},
	{L: 2, H: 16, heads: 16, act: "gelu", pooler: true, pooling: "mean_tokens"},
	{L: 1, H: 8, heads: 2, act: "gelu"}, // no pooler, no config: CLS
	{L: 1, H: 1, heads: 1, wide: 1, act: "relu", pooling: "mean_tokens"},
}

// adaptersOf are none, and adapters of m's of several shapes, with each of their parts and without.
func adaptersOf(m tiny) (naives []*naiveAdapter, as []*Adapter) {
	naives, as = []*naiveAdapter{nil}, []*Adapter{nil}
	for i, c := range []struct {
		b                int
		relu, norm, bias bool
	}{{8, false, true, false}, {3, true, false, true}, {20, false, true, true}, {4, true, true, true},
		{5, false, false, false}} {
		a := newNaiveAdapter(m, c.b, uint64(i+1), c.relu, c.norm, c.bias)
		naives, as = append(naives, a), append(as, a.flat(m, m.L, c.bias))
	}
	return naives, as
}

// TestEmbedAgainstGo compares models and adapters of several shapes with the naive ones, all in one
// batch, and each text with itself alone, to the bit.
func TestEmbedAgainstGo(t *testing.T) {
	for _, m := range tinies {
		t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
			enc := openEncoder(t, m.writeF32(t))
			if enc.Blocks() != m.L || enc.Hidden() != m.H {
				t.Errorf("got L=%d, d=%d, want %d, %d", enc.Blocks(), enc.Hidden(), m.L, m.H)
			}
			naives, as := adaptersOf(m)
			var texts []Encoding
			var owner []int
			for o := range as {
				for i, text := range tinyTexts {
					texts, owner = append(texts, text), append(owner, (o+i)%len(as))
				}
			}
			got := embed(t, enc, texts, owner, as)
			for i, text := range texts {
				x := got[i*m.H : (i+1)*m.H]
				ref := &naive{config: m.config(), weights: m.weights(), adapter: naives[owner[i]]}
				golden.Near(t, fmt.Sprintf("text %d, adapter %d", i, owner[i]),
					x, ref.pool(ref.forward(text), enc.pooling), 2e-5, 2e-5)
				if alone := embed(t, enc, texts[i:i+1], owner[i:i+1], as); !slices.Equal(x, alone) {
					t.Errorf("text %d: alone it has another vector than among %d", i, len(texts))
				}
			}
			if !slices.Equal(bare(t, enc, tinyTexts),
				embed(t, enc, tinyTexts, make([]int, len(tinyTexts)), []*Adapter{nil})) {
				t.Error("no owners: got other vectors than of owners without an adapter")
			}
		})
	}
}

// TestStems: the part below a block is the naive one's, of each text the same alone and among
// others, and Upper makes of it what Embed makes of the text, to the bit, and leaves it as it was.
func TestStems(t *testing.T) {
	for _, m := range tinies {
		for from := range m.L {
			t.Run(fmt.Sprintf("%+v from %d", m, from), func(t *testing.T) {
				enc := openEncoder(t, m.writeF32(t))
				a := newNaiveAdapter(m, 6, 1, true, true, true)
				as, owner := []*Adapter{a.flat(m, m.L-from, true), nil, a.flat(m, 1, false)}, []int{0, 1, 2}
				stems, err := enc.Stems(tinyTexts, from, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				ref := &naive{config: m.config(), weights: m.weights()}
				for i, text := range tinyTexts {
					want := flat(ref.stem(text, from)) // sums of large terms
					golden.Near(t, "stem", stems[i], want, 1e-5*largest(want), 0)
					if alone, err := enc.Stems(tinyTexts[i:i+1], from, nil, nil); err != nil ||
						!slices.Equal(alone[0], stems[i]) {
						t.Errorf("text %d: alone it has another stem (%v)", i, err)
					}
				}
				taps := []int{from, from + 1}
				want := make([]float32, 2*len(tinyTexts)*m.H)
				if err := enc.Embed(tinyTexts, owner, as, make([]float32, len(tinyTexts)*m.H), taps, want); err != nil {
					t.Fatal(err)
				}
				below, above := make([]float32, len(tinyTexts)*m.H), make([]float32, len(tinyTexts)*m.H)
				if _, err := enc.Stems(tinyTexts, from, taps[:1], below); err != nil {
					t.Fatal(err)
				}
				x := make([]float32, len(above))
				if err := enc.Upper(tinyTexts, stems, from, owner, as, x, taps[1:], above); err != nil {
					t.Fatal(err)
				}
				for i := range tinyTexts {
					if got := slices.Concat(below[i*m.H:(i+1)*m.H], above[i*m.H:(i+1)*m.H]); !slices.Equal(got,
						want[2*i*m.H:2*(i+1)*m.H]) {
						t.Errorf("text %d: got other states than Embed's", i)
					}
				}
				for range 2 { // the second finds the stems as they were
					x := make([]float32, len(tinyTexts)*m.H)
					if err := enc.Upper(tinyTexts, stems, from, owner, as, x, nil, nil); err != nil {
						t.Fatal(err)
					}
					if want := embed(t, enc, tinyTexts, owner, as); !slices.Equal(x, want) {
						t.Errorf("got other vectors than Embed's:\n%v, want\n%v", x[:4], want[:4])
					}
				}
			})
		}
	}
}

func largest(x []float32) (top float64) {
	for _, v := range x {
		top = max(top, math.Abs(float64(v)))
	}
	return top
}

// TestLastBlocks: an adapter in the last block only is the naive one there, and one whose lower
// blocks add nothing.
func TestLastBlocks(t *testing.T) {
	m := tinyDefault
	enc := openEncoder(t, m.writeF32(t))
	a := newNaiveAdapter(m, 5, 1, false, true, false)
	got := embed(t, enc, tinyTexts, []int{0, 0, 0}, []*Adapter{a.flat(m, 1, false)})
	ref := &naive{config: m.config(), weights: m.weights(), adapter: a, from: 1}
	for i, text := range tinyTexts {
		golden.Near(t, "the last block only", got[i*m.H:(i+1)*m.H], ref.pool(ref.forward(text), PoolMean), 1e-5, 1e-5)
	}
	full := a.flat(m, 2, false)
	clear(full.Up[:m.H*a.b])
	golden.Near(t, "lower blocks add nothing", embed(t, enc, tinyTexts, []int{0, 0, 0}, []*Adapter{full}), got, 1e-6, 0)
	if slices.Equal(got, bare(t, enc, tinyTexts)) {
		t.Error("the adapter does nothing: the test could not fail")
	}
}

// TestEmbedConcurrent has many passes of many lengths at once, which share the model and its
// buffers.
func TestEmbedConcurrent(t *testing.T) {
	for _, m := range []tiny{tinies[0], tinyDefault} {
		enc := openEncoder(t, m.writeF32(t))
		want := bare(t, openEncoder(t, m.writeF32(t)), tinyTexts)
		var all sync.WaitGroup
		for i := range 2 * runtime.GOMAXPROCS(0) { // the first ones pack the weights
			all.Add(1)
			go func() {
				defer all.Done()
				for j := range 50 {
					n := 1 + (i+j)%len(tinyTexts)
					x := make([]float32, n*m.H)
					if err := enc.Embed(tinyTexts[:n], nil, nil, x, nil, nil); err != nil ||
						!slices.Equal(x, want[:n*m.H]) {
						t.Errorf("another result beside others (%v)", err)
					}
				}
			}()
		}
		all.Wait()
	}
}

// TestEmbedNotFinite keeps what is not finite in its own text.
func TestEmbedNotFinite(t *testing.T) {
	for _, m := range []tiny{tinies[0], tinyDefault} {
		enc := openEncoder(t, m.writeF32(t))
		bad := newNaiveAdapter(m, 4, 5, false, true, false).flat(m, 2, false)
		for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32} {
			for i := range bad.Up {
				bad.Up[i] = v
			}
			got := embed(t, enc, tinyTexts[:2], []int{0, 1}, []*Adapter{bad, nil})
			if !slices.Equal(got[m.H:], bare(t, enc, tinyTexts[1:2])) {
				t.Errorf("%v: another text's vector changed", v)
			}
			if x := got[0]; x-x == 0 {
				t.Errorf("%v: got %v, want nothing finite", v, x)
			}
		}
	}
}

// TestEmbedRefuses: what does not fit the model is an error, never a crash.
func TestEmbedRefuses(t *testing.T) {
	m := tinies[0]
	enc := openEncoder(t, m.writeF32(t))
	good := Encoding{IDs: []int32{1, 2}, TypeIDs: []int32{0, 0}}
	fits := newNaiveAdapter(m, 4, 5, false, true, false).flat(m, 2, false)
	change := func(f func(a *Adapter)) *Adapter { a := *fits; f(&a); return &a }
	for what, c := range map[string]struct {
		text Encoding
		a    *Adapter
	}{
		"0 tokens":   {Encoding{}, nil},
		"0 types":    {Encoding{IDs: []int32{1}}, nil},
		"token 40":   {Encoding{IDs: []int32{40}, TypeIDs: []int32{0}}, nil},
		"token -1":   {Encoding{IDs: []int32{-1}, TypeIDs: []int32{0}}, nil},
		"of type 2":  {Encoding{IDs: []int32{1}, TypeIDs: []int32{2}}, nil},
		"of type -1": {Encoding{IDs: []int32{1}, TypeIDs: []int32{-1}}, nil},
		"of 0 to 2":  {Encoding{IDs: []int32{1, 2}, TypeIDs: []int32{0, 0}, Windows: []int32{0, 2}}, nil},
		"of -1 to 3": {Encoding{IDs: []int32{1, 2}, TypeIDs: []int32{0, 0}, Windows: []int32{-1, 3}}, nil},
		"of 1 to 2":  {Encoding{IDs: []int32{1, 2}, TypeIDs: []int32{0, 0}, Windows: []int32{1, 2}}, nil},
		"to 17, the": {Encoding{IDs: make([]int32, 18), TypeIDs: make([]int32, 18), Windows: []int32{1, 17}}, nil},
		"17 tokens":  {Encoding{IDs: make([]int32, 17), TypeIDs: make([]int32, 17)}, nil},
		"of 0 bl":    {good, &Adapter{}},
		"of 3 bl":    {good, change(func(a *Adapter) { a.Blocks = 3 })},
		"b=5":        {good, change(func(a *Adapter) { a.Bottleneck = 5 })},
		"does not f": {good, change(func(a *Adapter) { a.Down = a.Down[1:] })},
		"not fit 2":  {good, change(func(a *Adapter) { a.Norm = a.Norm[1:] })},
		"that does":  {good, change(func(a *Adapter) { a.UpBias = make([]float32, 1) })},
	} {
		if err := enc.Embed([]Encoding{c.text}, []int{0}, []*Adapter{c.a}, make([]float32, m.H),
			nil, nil); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
		if _, err := enc.Stems([]Encoding{c.text}, 0, nil, nil); c.a == nil &&
			(err == nil || !strings.Contains(err.Error(), what)) {
			t.Errorf("%s: the stem gave %v", what, err)
		}
	}
	x, one := make([]float32, m.H), []Encoding{{IDs: []int32{1}, TypeIDs: []int32{0}}}
	for what, err := range map[string]error{
		"31 values":         enc.Embed([]Encoding{good}, nil, nil, x[1:], nil, nil),
		"2 owners":          enc.Embed([]Encoding{good}, []int{0, 0}, []*Adapter{nil}, x, nil, nil),
		"0 owners":          enc.Embed([]Encoding{good}, nil, []*Adapter{fits}, x, nil, nil),
		"adapter 1 of 1":    enc.Embed([]Encoding{good}, []int{1}, []*Adapter{nil}, x, nil, nil),
		"adapter -1":        enc.Embed([]Encoding{good}, []int{-1}, []*Adapter{nil}, x, nil, nil),
		"block 2 of 2":      enc.Upper(one, [][]float32{x}, 2, nil, nil, x, nil, nil),
		"block -1":          enc.Upper(one, [][]float32{x}, -1, nil, nil, x, nil, nil),
		"has 31 values":     enc.Upper(one, [][]float32{x[1:]}, 1, nil, nil, x, nil, nil),
		"has 0 values":      enc.Upper(one, [][]float32{nil}, 1, nil, nil, x, nil, nil),
		"1 stems for 2":     enc.Upper([]Encoding{one[0], one[0]}, [][]float32{x}, 1, nil, nil, make([]float32, 2*m.H), nil, nil),
		"0 tokens":          enc.Upper([]Encoding{{}}, [][]float32{nil}, 1, nil, nil, x, nil, nil),
		"does not fit 1 bl": enc.Upper(one, [][]float32{x}, 1, []int{0}, []*Adapter{fits}, x, nil, nil),
		"64 values and 1":   enc.Upper(one, [][]float32{x}, 1, nil, nil, make([]float32, 2*m.H), nil, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := enc.Stems([]Encoding{good}, 1, []int{2}, x); err == nil {
		t.Error("the states after block 2 below block 1: got no error")
	}
	if err := enc.Upper(one, [][]float32{x}, 1, nil, nil, x, []int{1}, x); err == nil {
		t.Error("the states after block 1 above block 1: got no error")
	}
	if _, err := enc.Stems([]Encoding{good}, 2, nil, nil); err == nil || !strings.Contains(err.Error(), "block 2 of 2") {
		t.Errorf("stems of block 2: got %v", err)
	}
	if stems, err := enc.Stems(nil, 0, nil, nil); err != nil || len(stems) != 0 ||
		enc.Upper(nil, nil, 0, nil, nil, nil, nil, nil) != nil || enc.Embed(nil, nil, nil, nil, nil, nil) != nil {
		t.Errorf("no texts: got %v, want nothing and no error", err)
	}
}

// BenchmarkEmbed is one thread's time for 30-word texts.
func BenchmarkEmbed(b *testing.B) {
	enc := openEncoder(b, golden.Model(b))
	tok, err := LoadTokenizer(golden.Model(b))
	if err != nil {
		b.Fatal(err)
	}
	var text Encoding
	tok.Encode(&text, strings.Repeat("please call me back about the invoice when you can ", 3), "", 128)
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprintf("kernel=%s/batch=%d", enc.Kernel(), n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bare(b, enc, slices.Repeat([]Encoding{text}, n))
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "texts/s")
		})
	}
}
