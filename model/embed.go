package model

import (
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/bert"
)

var poolings = map[Pooling]bert.Pooling{PoolMean: bert.Mean, PoolCLS: bert.First, PoolPooler: bert.Pooler}

// Embed makes one vector a text, x [texts,d], each through an adapter of its own:
// adapters[owner[i]], or none where that is nil. Without owner all texts go through the bare
// encoder. It runs without padding, and a text's vector is the
// same to the bit whatever texts are beside it.
//
// states [texts,len(taps)·d] gets the mean of each text's states after some blocks of the same
// pass, whatever the pooling is: taps are ascending, 0 is the embeddings after their norm, Blocks
// the last block. With neither, there are none.
func (e *Encoder) Embed(texts []Encoding, owner []int, adapters []*Adapter, x []float32, taps []int,
	states []float32) error {
	return e.embed(bert.Float32, texts, owner, adapters, x, taps, states)
}

// Answer is Embed in the precision that answers have: [Encoder.UsePrecision].
func (e *Encoder) Answer(texts []Encoding, owner []int, adapters []*Adapter, x []float32, taps []int,
	states []float32) error {
	return e.embed(e.precision, texts, owner, adapters, x, taps, states)
}

func (e *Encoder) embed(in bert.Precision, texts []Encoding, owner []int, adapters []*Adapter, x []float32, taps []int,
	states []float32) error {
	m, err := e.packed(in)
	if err != nil {
		return err
	}
	if err := e.Check(texts); err != nil {
		return err
	}
	flat, owners, err := e.flatten(len(texts), -1, owner, adapters)
	if err != nil {
		return err
	}
	if len(x) != len(texts)*e.Hidden() || len(states) != len(taps)*len(x) {
		return fmt.Errorf("model: %d values and %d of %d taps for %d texts", len(x), len(states), len(taps), len(texts))
	}
	blocks, err := e.checkTaps(taps)
	if err != nil || len(texts) == 0 {
		return err
	}
	b := batch(texts, owners)
	pooled(texts, len(b.Lengths), x, states, func(x, states []float32) {
		m.Embed(b, flat, poolings[e.pooling], x, blocks, states)
	})
	return nil
}

// Stems is the part of the pass that no adapter in block from or above changes: of each text r = f
// + a of block from, [tokens,d], which its outer norm takes. The blocks below are bare. A text's is
// the same to the bit whatever texts are beside it, so it may be kept. states is that of Embed, of
// taps up to from.
func (e *Encoder) Stems(texts []Encoding, from int, taps []int, states []float32) ([][]float32, error) {
	m, err := e.packed(bert.Float32)
	if err != nil {
		return nil, err
	}
	if err := e.Check(texts); err != nil {
		return nil, err
	}
	if from < 0 || from >= e.Blocks() {
		return nil, fmt.Errorf("model: block %d of %d", from, e.Blocks())
	}
	blocks, err := e.checkPart(taps, 0, from, len(texts), states)
	if err != nil {
		return nil, err
	}
	_, bare, err := e.flatten(len(texts), 0, nil, nil)
	if err != nil {
		return nil, err
	}
	b := batch(texts, bare)
	all, stems := make([]float32, len(b.IDs)*e.Hidden()), make([][]float32, len(texts))
	if len(texts) > 0 {
		pooled(texts, len(b.Lengths), nil, states, func(_, states []float32) { m.Stems(b, from, all, blocks, states) })
	}
	for i, t := range texts {
		n := len(t.IDs) * e.Hidden()
		stems[i], all = all[:n:n], all[n:]
	}
	return stems, nil
}

// Upper is the rest of Embed out of the texts' stems, which it leaves as they are: block from's
// adapter, the blocks above, the pooling. No adapter may have a part in a block below from. states
// is that of Embed, of taps above from.
func (e *Encoder) Upper(texts []Encoding, stems [][]float32, from int, owner []int, adapters []*Adapter, x []float32,
	taps []int, states []float32) error {
	m, err := e.packed(bert.Float32)
	if err != nil {
		return err
	}
	if from < 0 || from >= e.Blocks() {
		return fmt.Errorf("model: block %d of %d", from, e.Blocks())
	}
	if err := e.Check(texts); err != nil {
		return err
	}
	flat, owners, err := e.flatten(len(texts), from, owner, adapters)
	if err != nil {
		return err
	}
	if len(stems) != len(texts) || len(x) != len(stems)*e.Hidden() {
		return fmt.Errorf("model: %d values and %d stems for %d texts", len(x), len(stems), len(texts))
	}
	blocks, err := e.checkPart(taps, from+1, e.Blocks(), len(stems), states)
	if err != nil {
		return err
	}
	var r []float32
	for i, s := range stems {
		if len(s) != len(texts[i].IDs)*e.Hidden() {
			return fmt.Errorf("model: the stem of text %d has %d values, of %d a token", i, len(s), e.Hidden())
		}
		r = append(r, s...)
	}
	if len(stems) > 0 {
		b := batch(texts, owners)
		pooled(texts, len(b.Lengths), x, states, func(x, states []float32) {
			of := bert.Batch{Lengths: b.Lengths, Owners: b.Owners}
			m.Upper(of, from, r, flat, poolings[e.pooling], x, blocks, states)
		})
	}
	return nil
}

// Check says what does not fit the model: lengths, ids, types. A bad id would be read far outside
// of the embeddings.
func (e *Encoder) Check(texts []Encoding) error {
	c := e.config
	for i, t := range texts {
		least, longest, all := len(t.IDs), len(t.IDs), len(t.IDs)
		if len(t.Windows) > 0 {
			least, longest, all = int(slices.Min(t.Windows)), int(slices.Max(t.Windows)), 0
			for _, n := range t.Windows {
				all += int(n)
			}
		}
		if least < 1 || longest > c.MaxPositionEmbeddings || all != len(t.IDs) || all != len(t.TypeIDs) {
			return fmt.Errorf("model: text %d has %d tokens and %d types, windows of %d to %d, the model %d positions",
				i, len(t.IDs), len(t.TypeIDs), least, longest, c.MaxPositionEmbeddings)
		}
		for j, id := range t.IDs {
			if kind := t.TypeIDs[j]; id < 0 || int(id) >= c.VocabSize || kind < 0 || int(kind) >= c.TypeVocabSize {
				return fmt.Errorf("model: text %d has token %d of type %d", i, id, kind)
			}
		}
	}
	return nil
}

// checkTaps gives them as the kernels take them.
func (e *Encoder) checkTaps(taps []int) ([]int32, error) {
	blocks := make([]int32, len(taps))
	for i, l := range taps {
		if l < 0 || l > e.Blocks() || i > 0 && l <= taps[i-1] {
			return nil, fmt.Errorf("model: taps %v, want blocks from 0 to %d, ascending", taps, e.Blocks())
		}
		blocks[i] = int32(l)
	}
	return blocks, nil
}

// checkPart is checkTaps of a part of the pass, from one block's states to another's.
func (e *Encoder) checkPart(taps []int, first, last, texts int, states []float32) ([]int32, error) {
	if len(states) != len(taps)*texts*e.Hidden() || len(taps) > 0 && (taps[0] < first || taps[len(taps)-1] > last) {
		return nil, fmt.Errorf("model: %d values of taps %v for %d texts, want blocks from %d to %d", len(states), taps,
			texts, first, last)
	}
	return e.checkTaps(taps)
}

// flatten checks the adapters and gives them as the kernels take them, and each row's index among
// them, -1 for none.
func (e *Encoder) flatten(rows, from int, owner []int, adapters []*Adapter) (flat []bert.Adapter, owners []int32,
	err error) {
	if len(owner) != rows && (owner != nil || len(adapters) > 0) {
		return nil, nil, fmt.Errorf("model: %d adapters, %d owners of %d texts", len(adapters), len(owner), rows)
	}
	index := make([]int32, len(adapters))
	for i, a := range adapters {
		if index[i] = -1; a == nil {
			continue
		}
		if err := a.check(e.Blocks(), from, e.Hidden()); err != nil {
			return nil, nil, err
		}
		index[i] = int32(len(flat))
		flat = append(flat, bert.Adapter{Blocks: a.Blocks, Bottleneck: a.Bottleneck, Down: a.Down, Up: a.Up,
			DownBias: a.DownBias, UpBias: a.UpBias, Norm: a.Norm,
			ReLU: a.Activation == ReLU, Eps: NormEps, Targets: int(a.Targets)})
	}
	owners = make([]int32, rows)
	for i := range owners {
		owners[i] = -1
		if owner == nil {
			continue
		}
		if owner[i] < 0 || owner[i] >= len(adapters) {
			return nil, nil, fmt.Errorf("model: text %d has adapter %d of %d", i, owner[i], len(adapters))
		}
		owners[i] = index[owner[i]]
	}
	return flat, owners, nil
}

// batch lays checked texts one after another, a row for each window, which has its text's owner.
func batch(texts []Encoding, owners []int32) (b bert.Batch) {
	for i, t := range texts {
		b.IDs, b.Types = append(b.IDs, t.IDs...), append(b.Types, t.TypeIDs...)
		if len(t.Windows) == 0 {
			b.Lengths, b.Owners = append(b.Lengths, int32(len(t.IDs))), append(b.Owners, owners[i])
			continue
		}
		for _, n := range t.Windows {
			b.Lengths, b.Owners = append(b.Lengths, n), append(b.Owners, owners[i])
		}
	}
	return b
}
