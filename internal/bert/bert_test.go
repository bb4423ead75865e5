package bert

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// shape of a random model.
type shape struct {
	blocks, hidden, heads, wide int
	act                         Activation
}

var shapes = []shape{
	{2, 32, 2, 64, GELU}, {3, 48, 3, 16, ReLU}, {1, 64, 1, 400, GELUTanh}, {1, 400, 25, 800, GELU},
	{2, 24, 3, 50, GELU}, {2, 15, 5, 17, GELUTanh}, {1, 1, 1, 1, ReLU}, // no whole numbers of vectors
}

func random(rng *rand.Rand, n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64() * scale)
	}
	return v
}

const vocab, positions = 50, 512

func (s shape) weights(rng *rand.Rand) Weights {
	d := s.hidden
	linear := func(out, in int) Linear {
		return Linear{W: random(rng, out*in, 1/math.Sqrt(float64(in))), B: random(rng, out, 0.1), Out: out, In: in}
	}
	norm := func() Norm {
		n := Norm{random(rng, d, 0.1), random(rng, d, 0.1)}
		for i := range n.Weight {
			n.Weight[i]++
		}
		return n
	}
	w := Weights{Hidden: d, Heads: s.heads, Activation: s.act, Eps: 1e-12, Words: random(rng, vocab*d, 1),
		Positions: random(rng, positions*d, 0.3), Types: random(rng, 2*d, 0.3), Embeddings: norm()}
	for range s.blocks {
		w.Blocks = append(w.Blocks, Block{QKV: linear(3*d, d), Out: linear(d, d), Up: linear(s.wide, d),
			Down: linear(d, s.wide), Attention: norm(), FFN: norm()})
	}
	pooler := linear(d, d)
	w.Pooler = &pooler
	return w
}

// adapters of all blocks, and of the last; with every part and with few.
func (s shape) adapters(rng *rand.Rand) []Adapter {
	d, b, all := s.hidden, 9, s.blocks
	return []Adapter{
		{Blocks: all, Bottleneck: b, Down: random(rng, all*d*b, 0.3), Up: random(rng, all*d*b, 0.3),
			DownBias: random(rng, all*b, 0.3), UpBias: random(rng, all*d, 0.3),
			Norm: random(rng, 2*all*b, 1), Eps: 1e-5},
		{Blocks: 1, Bottleneck: 48, Down: random(rng, d*48, 0.3), Up: random(rng, d*48, 0.3),
			Norm: random(rng, 2*48, 1), Eps: 1e-5},
		{Blocks: 1, Bottleneck: 3, Down: random(rng, d*3, 0.3), Up: random(rng, d*3, 0.3), ReLU: true},
		{Blocks: all, Bottleneck: 10, Down: random(rng, all*d*10, 0.3), Up: random(rng, all*d*10, 0.3), Targets: 5},
		{Blocks: 1, Bottleneck: 3, Down: random(rng, d*3, 0.3), Up: random(rng, d*3, 0.3), Targets: 7},
	}
}

// texts of these lengths, which have adapters -1, 0, … in turn.
func texts(rng *rand.Rand, adapters int, lengths ...int32) Batch {
	b := Batch{Lengths: lengths}
	for i, n := range lengths {
		b.Owners = append(b.Owners, int32(i%(adapters+1))-1)
		for range n {
			b.IDs, b.Types = append(b.IDs, rng.Int32N(vocab)), append(b.Types, rng.Int32N(2))
		}
	}
	return b
}

// one is a batch's text i.
func (b Batch) one(i int) Batch {
	at := 0
	for _, n := range b.Lengths[:i] {
		at += int(n)
	}
	end := at + int(b.Lengths[i])
	return Batch{b.IDs[at:end], b.Types[at:end], b.Lengths[i : i+1], b.Owners[i : i+1]}
}

// paths are the models of the same weights that run here.
func paths(t testing.TB, w Weights) []*Model {
	t.Helper()
	all := []*Model{newModel(w, newGo(w))}
	for _, k := range working() {
		all = append(all, newModel(w, newC(w, k, Float32)))
	}
	for _, m := range all {
		t.Cleanup(m.Free)
	}
	return all
}

// everyPath are paths, first the one in Go, and those in whole numbers.
func everyPath(t testing.TB, w Weights) []*Model {
	t.Helper()
	all := paths(t, w)
	for _, k := range working() {
		for _, in := range allPrecisions[1:] {
			if k.does(in) {
				all = append(all, newModel(w, newC(w, k, in)))
				t.Cleanup(all[len(all)-1].Free)
			}
		}
	}
	return all
}

// far is ‖x − y‖/‖y‖.
func far(x, y []float32) float64 {
	var off, all float64
	for i := range x {
		off += (float64(x[i]) - float64(y[i])) * (float64(x[i]) - float64(y[i]))
		all += float64(y[i]) * float64(y[i])
	}
	return math.Sqrt(off / all)
}

// TestPaths compares C with Go, each text with itself alone, and a pass with one that was cut in
// two.
func TestPaths(t *testing.T) {
	for _, s := range shapes {
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			if testing.Short() && s.hidden >= 400 {
				t.Skip("slow where a processor is imitated")
			}
			rng := rand.New(rand.NewPCG(1, 2))
			w := s.weights(rng)
			as := s.adapters(rng)
			b := texts(rng, len(as), 1, 2, 7, 16, 17, 60, 25, 3, 33, 12)
			taps := []int32{0, int32(s.blocks)}
			var first [3][]float32 // Go's
			for _, m := range paths(t, w) {
				for _, how := range []Pooling{Mean, First, Pooler} {
					x, pooled := make([]float32, len(b.Lengths)*s.hidden), make([]float32, 2*len(b.Lengths)*s.hidden)
					m.Embed(b, as, how, x, taps, pooled)
					checkAlone(t, m, b, as, how, x)
					checkCut(t, m, b, as, how)
					all := append(x, pooled...)
					if first[how] == nil {
						first[how] = all
					}
					if d := far(all, first[how]); !(d <= 2e-6) {
						t.Errorf("%v: %s and Go are %.3g apart", how, m.Kernel(), d)
					}
				}
			}
		})
	}
}

func checkAlone(t *testing.T, m *Model, b Batch, as []Adapter, how Pooling, x []float32) {
	t.Helper()
	d := m.hidden
	for i := range b.Lengths {
		alone := make([]float32, d)
		m.Embed(b.one(i), as, how, alone, nil, nil)
		if !slices.Equal(alone, x[i*d:][:d]) {
			t.Errorf("%s: text %d of %d tokens has another vector alone", m.Kernel(), i, b.Lengths[i])
		}
	}
}

// checkCut wants Embed's bits from Upper over Stems, and the stems left alone.
func checkCut(t *testing.T, m *Model, b Batch, as []Adapter, how Pooling) {
	t.Helper()
	for from := range m.blocks {
		b.Owners = slices.Clone(b.Owners)
		for i, o := range b.Owners {
			if o >= 0 && (as[o].Blocks > m.blocks-from || as[o].Targets != 0 && as[o].Blocks == m.blocks-from) {
				b.Owners[i] = -1
			}
		}
		n := len(b.Lengths) * m.hidden
		want, got := make([]float32, n), make([]float32, n)
		wantBelow, wantAbove, below, above := make([]float32, n), make([]float32, n), make([]float32, n),
			make([]float32, n)
		taps := []int32{int32(from), int32(from + 1)}
		m.Embed(b, as, how, want, taps[1:], wantAbove)
		m.Embed(b, as, how, want, taps[:1], wantBelow)
		r := make([]float32, len(b.IDs)*m.hidden)
		m.Stems(b, from, r, taps[:1], below)
		kept := slices.Clone(r)
		m.Upper(Batch{Lengths: b.Lengths, Owners: b.Owners}, from, r, as, how, got, taps[1:], above)
		if !slices.Equal(got, want) || !slices.Equal(below, wantBelow) || !slices.Equal(above, wantAbove) {
			t.Errorf("%s: cut at block %d, got other vectors or states than Embed's", m.Kernel(), from)
		}
		if !slices.Equal(r, kept) {
			t.Errorf("%s: Upper changed its stems", m.Kernel())
		}
	}
}

// TestNew refuses what does not fit together, and nothing else.
func TestNew(t *testing.T) {
	for name, spoil := range map[string]func(*Weights){
		"blocks":       func(w *Weights) { w.Blocks = nil },
		"heads":        func(w *Weights) { w.Heads = 5 },
		"embeddings":   func(w *Weights) { w.Words = w.Words[1:] },
		"layer norm":   func(w *Weights) { w.Embeddings.Bias = nil },
		"do not fit":   func(w *Weights) { w.Blocks[1].Up.Out++ },
		"a pooler of ": func(w *Weights) { w.Pooler.In-- },
	} {
		w := shapes[0].weights(rand.New(rand.NewPCG(1, 2)))
		spoil(&w)
		if m, err := New(w, "", Float32); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, %v, want an error of it", name, m, err)
		}
	}
}

// TestPanics: a pass that would read or write elsewhere.
func TestPanics(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m, err := New(shapes[0].weights(rng), "", Float32)
	if err != nil {
		t.Fatal(err)
	}
	b, x, r := texts(rng, 0, 2, 3), make([]float32, 64), make([]float32, 5*32)
	for name, pass := range map[string]func(){
		"texts":    func() { m.Embed(Batch{}, nil, Mean, nil, nil, nil) },
		"0 tokens": func() { m.Embed(Batch{Lengths: []int32{0}}, nil, Mean, x[:32], nil, nil) },
		"adapter 0 of 0": func() {
			m.Upper(Batch{Lengths: b.Lengths, Owners: []int32{-1, 0}}, 1, r, nil, Mean, x,
				nil, nil)
		},
		"owners": func() {
			m.Upper(Batch{Lengths: b.Lengths, Owners: []int32{-1}}, 1, r, nil, Mean, x, nil,
				nil)
		},
		"4 ids":           func() { m.Embed(Batch{b.IDs[1:], b.Types, b.Lengths, nil}, nil, Mean, x, nil, nil) },
		"63 values":       func() { m.Embed(b, nil, Mean, x[1:], nil, nil) },
		"taps [1 1]":      func() { m.Embed(b, nil, Mean, x, []int32{1, 1}, make([]float32, 128)) },
		"taps [3]":        func() { m.Embed(b, nil, Mean, x, []int32{3}, x) },
		"block 2 of 2":    func() { m.Stems(b, 2, r, nil, nil) },
		"block -1 of 2":   func() { m.Upper(b, -1, r, nil, Mean, x, nil, nil) },
		"159 values":      func() { m.Stems(b, 0, r[1:], nil, nil) },
		"160 values of 4": func() { m.Upper(Batch{Lengths: []int32{4}}, 0, r, nil, Mean, x[:32], nil, nil) },
		"taps [1] of 2 texts, want blocks 0 to 0": func() { m.Stems(b, 0, r, []int32{1}, x) },
		"taps [1] of 2 texts, want blocks 2 to 2": func() { m.Upper(b, 1, r, nil, Mean, x, []int32{1}, x) },
		"62 values for 2 t":                       func() { m.Upper(b, 0, r, nil, Mean, x[2:], nil, nil) },
	} {
		if said := panics(pass); !strings.Contains(said, name) {
			t.Errorf("got %q, want a panic of %q", said, name)
		}
	}
}

func panics(f func()) (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	f()
	return ""
}
