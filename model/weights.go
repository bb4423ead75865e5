package model

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/bert"
	"github.com/xpeft/xpeft/internal/safetensors"
)

// weightReader reads a checkpoint's weights as float32: in place where the file has them aligned in
// F32, else widened. An error sticks.
type weightReader struct {
	checkpoint *Checkpoint
	err        error
}

// weights are all of them, but for query, key and value.
func (r *weightReader) weights() bert.Weights {
	c := r.checkpoint.Config
	w := bert.Weights{
		Hidden: c.HiddenSize, Heads: c.NumAttentionHeads, Eps: float32(c.LayerNormEps),
		Activation: map[string]bert.Activation{"gelu": bert.GELU, "gelu_new": bert.GELUTanh,
			"relu": bert.ReLU}[c.HiddenAct],
		Words:      r.tensor("embeddings.word_embeddings.weight"),
		Positions:  r.tensor("embeddings.position_embeddings.weight"),
		Types:      r.tensor("embeddings.token_type_embeddings.weight"),
		Embeddings: r.norm("embeddings.LayerNorm"),
	}
	for l := range c.NumHiddenLayers {
		block := blockName(l)
		w.Blocks = append(w.Blocks, bert.Block{
			Out:       r.linear(block + "attention.output.dense"),
			Attention: r.norm(block + "attention.output.LayerNorm"),
			Up:        r.linear(block + "intermediate.dense"),
			Down:      r.linear(block + "output.dense"),
			FFN:       r.norm(block + "output.LayerNorm"),
		})
	}
	if r.checkpoint.Pooling == PoolPooler {
		p := r.linear("pooler.dense")
		w.Pooler = &p
	}
	return w
}

func blockName(l int) string { return fmt.Sprintf("encoder.layer.%d.", l) }

// qkv joins block l's query, key and value: one large product instead of three.
func (r *weightReader) qkv(l int) bert.Linear {
	d := r.checkpoint.Config.HiddenSize
	w := bert.Linear{Out: 3 * d, In: d, W: make([]float32, 0, 3*d*d), B: make([]float32, 0, 3*d)}
	for _, name := range []string{"query", "key", "value"} {
		part := r.linear(blockName(l) + "attention.self." + name)
		w.W, w.B = append(w.W, part.W...), append(w.B, part.B...)
	}
	return w
}

func (r *weightReader) linear(name string) bert.Linear {
	l := bert.Linear{W: r.tensor(name + ".weight"), B: r.tensor(name + ".bias")}
	if r.err == nil {
		l.Out, l.In = len(l.B), len(l.W)/len(l.B)
	}
	return l
}

func (r *weightReader) norm(name string) bert.Norm {
	return bert.Norm{Weight: r.tensor(name + ".weight"), Bias: r.tensor(name + ".bias")}
}

func (r *weightReader) tensor(name string) []float32 {
	t, err := r.checkpoint.tensor(name)
	if err != nil {
		r.err = err
		return nil
	}
	v, err := safetensors.Floats(t)
	if err != nil {
		r.err = fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return v
}
