package bert

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/safetensors"
)

// miniLM is the real weights.
func miniLM(t testing.TB) Weights {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(golden.Model(t), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	tensor := func(name string) []float32 {
		x, ok := f.Lookup(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		v, err := safetensors.Float32s(x)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	linear := func(names ...string) (l Linear) {
		for _, name := range names {
			l.W, l.B = append(l.W, tensor(name+".weight")...), append(l.B, tensor(name+".bias")...)
		}
		l.Out, l.In = len(l.B), len(l.W)/len(l.B)
		return l
	}
	norm := func(name string) Norm { return Norm{tensor(name + ".weight"), tensor(name + ".bias")} }
	table := func(name string) []float32 { return tensor("embeddings." + name + "_embeddings.weight") }
	w := Weights{Hidden: 384, Heads: 12, Activation: GELU, Eps: 1e-12, Words: table("word"),
		Positions: table("position"), Types: table("token_type"),
		Embeddings: norm("embeddings.LayerNorm")}
	for l := range 6 {
		at := fmt.Sprintf("encoder.layer.%d.", l)
		self := at + "attention.self."
		w.Blocks = append(w.Blocks, Block{QKV: linear(self+"query", self+"key", self+"value"),
			Out: linear(at + "attention.output.dense"), Up: linear(at + "intermediate.dense"),
			Down: linear(at + "output.dense"), Attention: norm(at + "attention.output.LayerNorm"),
			FFN: norm(at + "output.LayerNorm")})
	}
	return w
}

// goldenTexts are the golden passes', without their padding.
func goldenTexts(t testing.TB) Batch {
	t.Helper()
	f := golden.Open(t, "forward.safetensors")
	ids, mask, shape := f.Ints("ids"), f.Ints("mask"), f.Shape("ids")
	b := Batch{Lengths: make([]int32, shape[0])}
	for i := range mask {
		if mask[i] == 1 {
			b.IDs, b.Types = append(b.IDs, int32(ids[i])), append(b.Types, 0)
			b.Lengths[i/int(shape[1])]++
		}
	}
	return b
}

// TestGoldenPaths compares the real model's vectors with PyTorch's, and the paths with each other.
func TestGoldenPaths(t *testing.T) {
	b, want := goldenTexts(t), golden.Open(t, "forward.safetensors").Floats("mean_pooled")
	var all [][]float32
	for _, m := range paths(t, miniLM(t)) {
		x := make([]float32, len(want))
		m.Embed(b, nil, Mean, x, nil, nil)
		golden.Near(t, m.Kernel(), x, want, 2e-6, 0)
		all = append(all, x)
	}
	for i := 0; i < len(want); i += 384 {
		for _, x := range all {
			if d := far(x[i:i+384], all[0][i:i+384]); !(d <= 1e-5) {
				t.Errorf("text %d: the paths are %.3g apart", i/384, d)
			}
		}
	}
}
