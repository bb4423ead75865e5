package population

import (
	"context"
	"testing"
)

// BenchmarkFit is a new person's code of 60 examples on four axes.
func BenchmarkFit(b *testing.B) {
	p := plant(1, 1, 60, 60, 8, 2, 4)
	m := &Model{C: 2, D: 8, J: 4, W: make([]float32, 16), A: make([]float32, 2), V: make([]float32, 64),
		B: make([]float32, 8), Range: []float32{2.5, 2, 1.5, 1}, Digits: []int{8, 8, 7, 6}}
	for i := range m.V {
		m.V[i] = float32(p.v[i])
	}
	e := &Examples{Rows: m.Project(nil, p.Phi)}
	for _, c := range p.People[0].Class {
		e.Class = append(e.Class, int(c))
	}
	for b.Loop() {
		if _, err := m.Fit(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMany is a step for 400 people with 50 answers each of 26 labels, every text answered
// once and the space before it.
func BenchmarkMany(b *testing.B) {
	p := wide(20_000)
	p.C = 26
	for k := range p.People {
		for i := range p.People[k].Class {
			p.People[k].Class[i] = int32((k + i) % 26)
		}
	}
	var j *joint
	b.Run("space", func(b *testing.B) {
		for b.Loop() {
			j = newJoint(newSpace(p, everyText(p), false, 1), p.People, p.C, 1)
		}
	})
	b.Run("step", func(b *testing.B) {
		j.as(Setting{Rank: 1, Head: 1, Axis: 1})
		x := make([]float64, 2*26*(j.dim+1))
		g := make([]float64, len(x))
		for i := range x {
			x[i] = float64(i%7)/100 - 0.03
		}
		for b.Loop() {
			j.objective(x, g)
		}
	})
}
