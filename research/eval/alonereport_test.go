package eval

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// TestAloneRows: of a way's settings the best stands in the table, each kind of texts has its own
// rows, and the interval draws what it says.
func TestAloneRows(t *testing.T) {
	got := newTally([]int{2, 2})
	for person := range 2 {
		texts := []int{0, 1, 2} // the last is an unseen one
		answer := func(way string, right ...bool) { got.add(way, person, texts, func(i int) bool { return right[i] }) }
		answer(servedAlone, true, true, person == 0)
		answer(servedAlone, true, false, person == 0) // a second split
		answer(priorAlone, false, false, false)
		answer(ownLast+", L2 1", false, false, true)
		answer(ownLast+", L2 2", true, false, false)
		answer(ownFeatures+", L2 1", true, true, true)
	}
	rows := got.rows(8, 2)
	if len(rows) != 8 {
		t.Fatalf("got %d rows, want four of each kind of texts", len(rows))
	}
	want := []struct {
		texts, way, setting string
		n                   int
		accuracy, ahead     float64
	}{
		{"kept back", servedAlone, "", 4, 0.75, 0}, {"kept back", priorAlone, "", 4, 0, 0.75},
		{"kept back", ownLast, "L2 2", 4, 0.5, 0.25}, {"kept back", ownFeatures, "L2 1", 4, 1, -0.25},
		{"unseen", servedAlone, "", 1, 0.5, 0}, {"unseen", priorAlone, "", 1, 0, 0.5},
		{"unseen", ownLast, "L2 1", 1, 1, -0.5}, {"unseen", ownFeatures, "L2 1", 1, 1, -0.5},
	}
	for i, r := range rows {
		w := want[i]
		if r.Texts != w.texts || r.Way != w.way || r.Setting != w.setting || r.N != w.n || r.Shots != 8 ||
			r.People != 2 || !close(r.Accuracy, w.accuracy) || !close(r.Ahead.Mean, w.ahead) {
			t.Errorf("got %+v, want %+v", r, w)
		}
	}
	if r := rows[1]; r.Unit != "text within a person" || r.Ahead.Low != 0.5 || r.Ahead.High != 1 {
		t.Errorf("got %+v, want an interval of texts within two people", r)
	}
	if table := AloneMarkdown(rows); strings.Count(table, "\n") != 10 ||
		!strings.Contains(table, "| kept back | at most 8 | own last | L2 2 |") {
		t.Errorf("got\n%s", table)
	}
}

func TestReadUnseen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "unseen.jsonl")
	write(t, path, `{"text": "a", "labels": {"ann": "x"}}`+"\n"+`{"text": "b", "labels": {"ann": "y"}}`+"\n")
	got, err := ReadUnseen(path)
	if err != nil || len(got) != 2 || got[1].Text != "b" || got[1].Labels["ann"] != "y" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"who\n", `{"labels": {}}`} {
		write(t, path, bad)
		if _, err := ReadUnseen(path); !errors.Is(err, ErrData) {
			t.Errorf("%q: got %v, want ErrData", bad, err)
		}
	}
}

func TestPeopleAreDrawn(t *testing.T) {
	served, other := make([][]float64, fewPeopleAlone), make([][]float64, fewPeopleAlone)
	for p := range served {
		served[p], other[p] = []float64{float64(p % 2), float64(p % 2)}, []float64{0, 0}
	}
	var r AloneRow
	if r.measure(served, other, false); r.Unit != "person" || r.N != 2*fewPeopleAlone ||
		math.Abs(r.Ahead.Mean-0.5) > 1e-9 || r.Ahead.High-r.Ahead.Low < 0.3 {
		t.Errorf("got %+v, want an interval of people", r)
	}
}
