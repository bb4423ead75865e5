//go:build cgo

package model

import (
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/internal/bert"
)

// EachAdapter is a folded adapter in plain memory: what EmbedEach reads. Down is [Blocks,d,b], Up [Blocks,b,d], the biases [Blocks,b] and [Blocks,d], Norm [Blocks,2,b];
// what the adapter does not have is nil.
type EachAdapter struct {
	Blocks, Bottleneck               int
	Activation                       Activation
	Down, Up, DownBias, UpBias, Norm []float32
}

// CanEmbedEach says whether EmbedEach works: on a CPU with AVX2, for sizes that its kernels can do. The first call packs the encoder's weights, 43 MB and 30 ms for MiniLM-L6.
func (e *Encoder) CanEmbedEach() bool {
	e.pack.Do(func() {
		if e.onCPU {
			e.kernels = e.newKernels()
		}
	})
	return e.kernels != nil
}

// EmbedEach is Embed for answers: one vector a text, x [texts,H], each through an adapter of its own, adapters[owner[i]], or none where that is nil. It runs on the calling goroutine's
// thread, without libtorch, gradients or padding, and a text's vector is the same to the bit whatever texts are beside it. Like Embed, but for rounding. Where CanEmbedEach is false it is an error.
//
// states [texts,len(taps)·H] gets the taps of the same pass, as EmbedTaps does: with neither, there
// are none.
func (e *Encoder) EmbedEach(texts []Encoding, owner []int, adapters []*EachAdapter, x []float32, taps []int, states []float32) error {
	if !e.CanEmbedEach() {
		return errors.New("model: no kernels for this encoder on this CPU")
	}
	b, flat, err := e.each(texts, owner, adapters)
	if err != nil {
		return err
	}
	if len(x) != len(texts)*e.config.HiddenSize || len(states) != len(taps)*len(x) {
		return fmt.Errorf("model: %d values and %d of %d taps for %d texts", len(x), len(states), len(taps), len(texts))
	}
	blocks, err := e.checkTaps(taps)
	if err != nil {
		return err
	}
	e.kernels.Embed(b, flat, eachPooling[e.pooling], x, blocks, states)
	return nil
}

var eachPooling = map[Pooling]bert.Pooling{PoolMean: bert.Mean, PoolCLS: bert.First, PoolPooler: bert.Pooler}

// each checks and flattens: a bad id would be read far outside of the embeddings.
func (e *Encoder) each(texts []Encoding, owner []int, adapters []*EachAdapter) (b bert.Batch, flat []bert.Adapter, err error) {
	index := make([]int32, len(adapters))
	for i, a := range adapters {
		if index[i] = -1; a == nil {
			continue
		}
		if err := a.check(len(e.blocks), e.config.HiddenSize); err != nil {
			return b, nil, err
		}
		index[i] = int32(len(flat))
		flat = append(flat, bert.Adapter{Blocks: a.Blocks, Bottleneck: a.Bottleneck, Down: a.Down, Up: a.Up, DownBias: a.DownBias, UpBias: a.UpBias, Norm: a.Norm,
			ReLU: a.Activation == ReLU, Eps: normEps})
	}
	for i, t := range texts {
		if len(t.IDs) == 0 || len(t.IDs) != len(t.TypeIDs) || len(t.IDs) > e.config.MaxPositionEmbeddings {
			return b, nil, fmt.Errorf("model: text %d has %d tokens and %d types, the model %d positions", i, len(t.IDs), len(t.TypeIDs), e.config.MaxPositionEmbeddings)
		}
		for j, id := range t.IDs {
			if kind := t.TypeIDs[j]; id < 0 || int(id) >= e.config.VocabSize || kind < 0 || int(kind) >= e.config.TypeVocabSize {
				return b, nil, fmt.Errorf("model: text %d has token %d of type %d", i, id, kind)
			}
		}
		b.IDs, b.Types = append(b.IDs, t.IDs...), append(b.Types, t.TypeIDs...)
		b.Lengths, b.Owners = append(b.Lengths, int32(len(t.IDs))), append(b.Owners, index[owner[i]])
	}
	return b, flat, nil
}

func (a *EachAdapter) check(blocks, d int) error {
	n := a.Blocks * a.Bottleneck
	ok := a.Blocks >= 1 && a.Blocks <= blocks && a.Bottleneck >= 1 && len(a.Down) == n*d && len(a.Up) == n*d &&
		(a.DownBias == nil || len(a.DownBias) == n) && (a.UpBias == nil || len(a.UpBias) == a.Blocks*d) && (a.Norm == nil || len(a.Norm) == 2*n)
	if !ok {
		return fmt.Errorf("model: an adapter of %d blocks, b=%d, that does not fit %d blocks of %d values", a.Blocks, a.Bottleneck, blocks, d)
	}
	return nil
}

// newKernels packs the weights; nil where the kernels cannot run.
func (e *Encoder) newKernels() *bert.Model {
	act := map[string]bert.Activation{"gelu": bert.GELU, "gelu_new": bert.GELUTanh, "relu": bert.ReLU}[e.config.HiddenAct]
	c, d := e.config, e.config.HiddenSize
	w := bert.Weights{Hidden: d, Heads: c.NumAttentionHeads, Activation: act, Eps: float32(c.LayerNormEps), Words: e.embed.words.Memory(c.VocabSize * d),
		Positions: e.embed.positions.Memory(c.MaxPositionEmbeddings * d), Types: e.embed.types.Memory(c.TypeVocabSize * d), Embeddings: e.embed.norm.packed()}
	for _, b := range e.blocks {
		w.Blocks = append(w.Blocks, bert.Block{QKV: b.attn.qkv.packed(3*d, d), Out: b.attn.out.packed(d, d), Up: b.ffn.up.packed(c.IntermediateSize, d),
			Down: b.ffn.down.packed(d, c.IntermediateSize), Attention: b.attn.norm.packed(), FFN: b.ffn.norm.packed()})
	}
	if e.pooling == PoolPooler {
		p := e.pooler.packed(d, d)
		w.Pooler = &p
	}
	m, err := bert.New(w)
	if err != nil { // sizes that no BERT in use has: libtorch answers
		return nil
	}
	return m
}

func (l linear) packed(out, in int) bert.Linear {
	return bert.Linear{W: l.w.Memory(out * in), B: l.b.Memory(out), Out: out, In: in}
}

func (n layerNorm) packed() bert.Norm {
	return bert.Norm{Weight: n.w.Memory(int(n.n)), Bias: n.b.Memory(int(n.n))}
}
