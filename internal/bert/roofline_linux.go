//go:build cgo && amd64

package bert

// #include "bert.h"
import "C"

import "time"

// part of a pass through all blocks: how often it multiplies and adds, and how much of the thread's
// time it took.
type part struct {
	name  string
	flops float64
	took  time.Duration
}

// products is how many multiply-adds one of a vector is.
func (p *cPath) products() int {
	n := int(p.c.panel) / 2
	if b := int(p.model.bits); b > 0 {
		n *= 32 / b
	}
	return n
}

// peak is n × 12 multiply-adds of vectors.
func (p *cPath) peak(n int) { C.bert_peak(p.c, p.model.bits, C.long(n), 0.5) }

// profile runs a bare pass and says what its parts took.
func (p *cPath) profile(m *Model, b Batch) (parts []part) {
	longest, n := b.check(0)
	states, scratch, memory := m.begin(n, longest, nil, 1)
	defer m.give(memory)
	var took C.bert_parts
	p.pass(b, nil, -1, m.blocks, nil, states, nil, scratch, &took, nil)
	d, wide, tokens, squares := float64(m.hidden), float64(p.model.block.up.out), float64(n*m.blocks), 0.
	for _, l := range b.Lengths {
		squares += float64(l) * float64(l) * float64(m.blocks)
	}
	for i, q := range []part{{"QKV", 6 * d * d * tokens, 0}, {"attention", 4 * d * squares, 0},
		{"output", 2 * d * d * tokens, 0}, {"up", 2 * d * wide * tokens, 0},
		{"GELU", 0, 0}, {"down", 2 * d * wide * tokens, 0}, {"norms, residuals", 0, 0}} {
		q.took = time.Duration(took.took[i])
		parts = append(parts, q)
	}
	return parts
}
