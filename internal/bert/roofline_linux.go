//go:build cgo && amd64

package bert

// #include "bert.h"
import "C"

import (
	"math"
	"time"
)

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
	switch {
	case p.in == BFloat16:
		return 16 * 16 * 32
	case p.in == Int8 && p.name == "amx":
		return 16 * 16 * 64
	case p.in == Int8:
		return 4 * n
	case p.in == Int16:
		return 2 * n
	}
	return n
}

// peak is n × 12 multiply-adds of vectors.
func (p *cPath) peak(n int) { C.bert_peak(p.c, p.model.precision, C.long(n), 0.5) }

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

// layer is rows of one linear layer in the path's precision, for tests.
func (p *cPath) layer(l Linear, x []float32, rows int, y []float32) {
	c, scratch := p.packIn(p.in, l), make([]float32, 96*(2+roundUp(l.In, 64))) // of BLOCK rows
	for i := range scratch {
		scratch[i] = float32(math.NaN()) // what is there must not matter
	}
	C.bert_apply(p.c, &c, ptr(x), C.int(rows), ptr(y), ptr(scratch))
}
