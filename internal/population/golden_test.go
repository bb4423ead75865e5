package population

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// golden are problems and their solutions by testdata/reference.py.
type golden struct {
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

func readGolden(t *testing.T) (g golden) {
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

// problem is a golden one, and the probe in the space of its fits.
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
		near(t, k, "objective", 1e-8, []float64{value}, []float64{g.Value})
		near(t, k, "gradient", 1e-6, grad, want)
		near(t, k, "z and b", 1e-7, j.codes, g.Codes)
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
		near(t, k, "minimum", 1e-6, []float64{value}, []float64{g.Least})
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
		near(t, k, "z", 1e-7, z, g.Z)
		near(t, k, "b", 1e-7, b, g.Bias)
		c, err := m.Fit(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		same(t, k, "levels", c.Level, g.Level)
		same(t, k, "bias", c.Bias, g.BiasBytes)
		var logits []float64
		others := rows[len(e.Rows):]
		for at := 0; at < len(others); at += m.Width() {
			logits = m.Logits(logits, others[at:at+m.Width()], c)
		}
		near(t, k, "logits", 1e-6, logits, g.Logits)
		asked, err := m.Ask(e, others, g.Answered, len(g.Asked))
		if err != nil || !slices.Equal(asked, g.Asked) {
			t.Errorf("case %d: asked %v, %v, want %v", k, asked, err, g.Asked)
		}
	}
	if moved == 0 {
		t.Error("got no level that refining moves, want another file")
	}
}

func same(t *testing.T, k int, what string, got []byte, want []int) {
	t.Helper()
	b := make([]byte, len(want))
	for i, v := range want {
		b[i] = byte(v)
	}
	if !slices.Equal(got, b) {
		t.Errorf("case %d, %s: got %v, want %v", k, what, got, b)
	}
}

func near(t *testing.T, k int, what string, limit float64, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("case %d, %s: got %d values, want %d", k, what, len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		worst = max(worst, math.Abs(got[i]-want[i]))
	}
	t.Logf("case %d, %s: largest difference %.1e", k, what, worst)
	if !(worst <= limit) {
		t.Errorf("case %d, %s: got a difference of %g, want at most %g", k, what, worst, limit)
	}
}
