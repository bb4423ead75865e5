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
