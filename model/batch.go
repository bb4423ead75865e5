package model

import "fmt"

// Batch is encoded texts, padded to the longest one and no further. B rows of T tokens, row-major.
type Batch struct {
	B, T    int
	IDs     []int64 // [B,T]; padding has the tokenizer's pad id
	TypeIDs []int64 // [B,T]
	Lengths []int   // tokens of each row, ≥ 1
}

// NewBatch pads texts. It fails on an empty batch and on a text of no tokens: an encoded text has [CLS] and [SEP] at least.
func NewBatch(texts []Encoding, padID int32) (*Batch, error) {
	b := &Batch{B: len(texts), Lengths: make([]int, len(texts))}
	if b.B == 0 {
		return nil, fmt.Errorf("model: a batch of no texts")
	}
	for i, e := range texts {
		if len(e.IDs) == 0 || len(e.TypeIDs) != len(e.IDs) {
			return nil, fmt.Errorf("model: text %d has %d ids and %d type ids", i, len(e.IDs), len(e.TypeIDs))
		}
		b.Lengths[i] = len(e.IDs)
		b.T = max(b.T, len(e.IDs))
	}
	flat := make([]int64, 2*b.B*b.T)
	b.IDs, b.TypeIDs = flat[:b.B*b.T], flat[b.B*b.T:]
	for i, e := range texts {
		ids, types := b.IDs[i*b.T:(i+1)*b.T], b.TypeIDs[i*b.T:(i+1)*b.T]
		for j := range ids {
			if j < len(e.IDs) {
				ids[j], types[j] = int64(e.IDs[j]), int64(e.TypeIDs[j])
			} else {
				ids[j] = int64(padID)
			}
		}
	}
	return b, nil
}

// attention fills the additive mask [B,1,T]: 0 at a token, a large negative number at padding.
func (b *Batch) attention(dst []float32, heads int) {
	const none = -1e30
	for i := range dst {
		row, t := i/(heads*b.T), i%b.T
		if t >= b.Lengths[row] {
			dst[i] = none
		} else {
			dst[i] = 0
		}
	}
}

// mean fills the weights [B,1,T] whose product with the states [B,T,H] is each row's mean over its own tokens.
func (b *Batch) mean(dst []float32) {
	for i, n := range b.Lengths {
		for t := range b.T {
			dst[i*b.T+t] = 0
			if t < n {
				dst[i*b.T+t] = 1 / float32(n)
			}
		}
	}
}
