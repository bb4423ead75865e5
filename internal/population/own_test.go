package population

import (
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/half"
)

// hidden is people who differ, and agree, in what φ does not say: four of its six values are left.
func hidden() *planted {
	p := plant(7, 60, 50, 80, 6, 2, 1)
	var phi []float32
	for at := 0; at < len(p.Phi); at += 6 {
		phi = append(phi, p.Phi[at:at+4]...)
	}
	p.Phi, p.D = phi, 4
	return p
}

// TestOwnParts: texts that φ does not describe get parts of their own where people who are held out
// gain by them, and none where φ says all.
func TestOwnParts(t *testing.T) {
	p := hidden()
	m, r := train(t, &p.Population, &Options{Ranks: []int{1}})
	if r.Text != 1 || len(m.Known) == 0 || len(m.Own) != len(m.Known)*m.Width() || !slices.IsSorted(m.Known) {
		t.Fatalf("got the setting %+v, %d known texts, %d values", r.Setting, len(m.Known), len(m.Own))
	}
	for _, v := range m.Own {
		if v != half.To(half.From(v)) {
			t.Fatalf("float16 does not hold %g", v)
		}
	}
	if _, r = train(t, &plant(7, 60, 50, 80, 6, 2, 1).Population, &Options{Ranks: []int{1}}); r.Rank != 1 ||
		r.Text != 0 {
		t.Errorf("φ that says all: got the setting %+v", r.Setting)
	}
}

// TestKnown: a text is known once three people labelled it, however often.
func TestKnown(t *testing.T) {
	p := &Population{C: 2, D: 1, Phi: []float32{1, 2, 3, 4}, People: []Answers{
		{[]int32{0, 1, 1, 1, 2}, []int32{0, 1, 1, 1, 0}}, {[]int32{2, 1}, []int32{0, 0}},
		{[]int32{2, 0}, []int32{1, 1}}, {[]int32{0}, []int32{1}}}}
	j := newJoint(newSpace(p, everyText(p), true, 1), p.People, 2, 1)
	if want := []int32{0, 2}; !slices.Equal(j.known, want) {
		t.Errorf("got %v, want %v", j.known, want)
	}
	j.as(Setting{Head: 1, Rank: 1, Axis: 1})
	if n := j.ownSize(); n != 0 {
		t.Errorf("without own parts: got %d values", n)
	}
	j.as(Setting{Head: 1, Rank: 1, Axis: 1, Text: 1})
	if n := j.ownSize(); n != 2*2*2 {
		t.Errorf("with own parts: got %d values, want 8", n)
	}
}

// TestKnow: a known text's row has its own part beside what its φ gives.
func TestKnow(t *testing.T) {
	m := &Model{C: 2, D: 1, J: 1, W: []float32{1, 2}, A: []float32{0, 0}, V: []float32{3, 4}, B: []float32{0, 0},
		Own: []float32{9, 9, 9, 9, 1, -2, 0.5, 4}, Known: []int32{3, 5}}
	row := m.Project(nil, []float32{2})
	m.Know(row, 1)
	if want := []float64{3, 2, 6.5, 12}; !slices.Equal(row, want) {
		t.Errorf("got %v, want %v", row, want)
	}
}

// TestOwnSetting: own parts are an axis' matter, and their strength is a number.
func TestOwnSetting(t *testing.T) {
	p := plant(6, 20, 20, 40, 6, 2, 1)
	if m, r := train(t, &p.Population,
		&Options{Setting: &Setting{Rank: 1, Head: 1, Axis: 1, Text: 2, Bias: 3}}); m.Own == nil || m.Beta != 3 ||
		r.Text != 2 {
		t.Errorf("got %d own values, a precision of %g and the setting %+v", len(m.Own), m.Beta, r.Setting)
	}
	for _, s := range []Setting{{Head: 1, Text: 1}, {Rank: 1, Head: 1, Axis: 1, Text: -1},
		{Head: 1, Bias: math.NaN()}, {Rank: 1, Head: 1, Axis: 1, Text: math.Inf(1)}} {
		if _, _, err := Train(t.Context(), &p.Population, &Options{Setting: &s}); err == nil {
			t.Errorf("took the setting %+v", s)
		}
	}
}
