package population

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/numeric"
)

// goldenFile are problems and their solutions by testdata/reference.py.
type goldenFile struct {
	Joint []jointCase
	Code  []codeCase
}

type jointCase struct {
	C, D, J         int
	Head, Axis      float64
	Text            float64   // L2 of own parts; 0: there are none
	Known           []int32   // the texts that have them
	Own             []float64 // [K,(1+J)·C]: at the probe
	OwnGradient     []float64
	Phi             []float32
	Texts, Classes  [][]int32
	Probe, Gradient [][]float64 // W and V, and the gradient there, over standardised φ and a 1
	Value           float64     // there, z and b minimized out
	Codes           []float64   // z and b, [U,J+C]
	Least           float64     // the minimum that the probe leads to
}

type codeCase struct {
	C, D, J           int
	W, A, V, B, Range []float32
	Digits            []int
	Beta              float64
	Own               []float32 // of the first texts
	Phi               []float32 // of the examples, then of six other texts
	Class             []int
	Z, Bias           []float64 // before they are rounded
	Moved             int       // 1: the levels are not those nearest to z
	Level, BiasBytes  []int
	Logits, Answered  []float64 // of the other texts
	Asked             []int     // four of them
}

func readGolden(t *testing.T) (g goldenFile) {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// problem is a goldenFile one, and the probe in the space of its fits.
func (g jointCase) problem(threads int) (*joint, []float64) {
	p := &Population{C: g.C, D: g.D, Phi: g.Phi}
	used := make([]bool, len(g.Phi)/g.D)
	for u, texts := range g.Texts {
		p.People = append(p.People, Answers{texts, g.Classes[u]})
		for _, t := range texts {
			used[t] = true
		}
	}
	j := newJoint(newSpace(p, used, true, threads), p.People, g.C, threads)
	j.as(Setting{Rank: g.J, Head: g.Head, Axis: g.Axis, Text: g.Text})
	var x []float64
	for _, row := range g.Probe {
		x = append(x, j.into(row)...)
	}
	return j, append(x, g.Own...)
}

// into turns a row over standardised φ into the space's basis.
func (s *space) into(row []float64) []float64 {
	x := make([]float64, s.dim+1)
	s.turn(x, row[:len(row)-1])
	x[s.dim] = row[len(row)-1]
	return x
}

func TestGoldenObjective(t *testing.T) {
	for k, g := range readGolden(t).Joint {
		j, x := g.problem(1)
		if spans := j.basis != nil; spans != (k == 1) {
			t.Errorf("case %d: got a basis: %v", k, spans)
		}
		grad, want := make([]float64, len(x)), []float64(nil)
		value := j.objective(x, grad)
		for _, row := range g.Gradient {
			want = append(want, j.into(row)...)
		}
		want = append(want, g.OwnGradient...)
		if g.Text > 0 && !slices.Equal(j.known, g.Known) {
			t.Errorf("case %d: got the known texts %v, want %v", k, j.known, g.Known)
		}
		golden.Near(t, fmt.Sprintf("case %d, objective", k), []float64{value}, []float64{g.Value}, 1e-8, 0)
		golden.Near(t, fmt.Sprintf("case %d, gradient", k), grad, want, 1e-6, 0)
		golden.Near(t, fmt.Sprintf("case %d, z and b", k), j.codes, g.Codes, 1e-7, 0)
	}
}

func TestGoldenMinimum(t *testing.T) {
	for k, g := range readGolden(t).Joint {
		j, x := g.problem(2)
		m := numeric.Minimizer{MaxSteps: 3000, Gradient: 1e-6}
		value, err := m.Run(context.Background(), x, j.objective)
		if err != nil {
			t.Fatal(err)
		}
		golden.Near(t, fmt.Sprintf("case %d, minimum", k), []float64{value}, []float64{g.Least}, 1e-6, 0)
	}
}

func (g codeCase) model() *Model {
	return &Model{C: g.C, D: g.D, J: g.J, W: g.W, A: g.A, V: g.V, B: g.B, Range: g.Range, Digits: g.Digits,
		Beta: g.Beta, Own: g.Own}
}

func TestGoldenCode(t *testing.T) {
	moved := 0
	for k, g := range readGolden(t).Code {
		moved += g.Moved
		m := g.model()
		rows := m.Project(nil, g.Phi)
		for i := range len(g.Own) / m.Width() {
			m.Know(rows[i*m.Width():(i+1)*m.Width()], i)
		}
		e := &Examples{Rows: rows[:len(g.Class)*m.Width()], Class: g.Class}
		z, b, err := m.Real(e)
		if err != nil {
			t.Fatal(err)
		}
		golden.Near(t, fmt.Sprintf("case %d, z", k), z, g.Z, 1e-7, 0)
		golden.Near(t, fmt.Sprintf("case %d, b", k), b, g.Bias, 1e-7, 0)
		c, err := m.Fit(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		golden.Same(t, fmt.Sprintf("case %d, levels", k), c.Level, g.Level)
		golden.Same(t, fmt.Sprintf("case %d, bias", k), c.Bias, g.BiasBytes)
		var logits []float64
		others := rows[len(e.Rows):]
		for at := 0; at < len(others); at += m.Width() {
			logits = m.Logits(logits, others[at:at+m.Width()], c)
		}
		golden.Near(t, fmt.Sprintf("case %d, logits", k), logits, g.Logits, 1e-6, 0)
		asked, err := m.Ask(e, others, g.Answered, len(g.Asked))
		if err != nil || !slices.Equal(asked, g.Asked) {
			t.Errorf("case %d: asked %v, %v, want %v", k, asked, err, g.Asked)
		}
	}
	if moved == 0 {
		t.Error("got no level that refining moves, want another file")
	}
}
