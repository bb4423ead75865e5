package eval

import (
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/learner"
)

// TestAlone serves nine people on a service's first day, end to end over the real model.
func TestAlone(t *testing.T) {
	m, err := OpenMachine(golden.Model(t), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d := fewPeople()
	u := Unseen{Text: "a piece of gold", Labels: map[string]string{}}
	for _, p := range d.People {
		u.Labels[p.ID] = "no"
	}
	a := &Alone{Data: d, Machine: m, Unseen: []Unseen{u}, Splits: 2, Shots: []int{2, 6}, Most: 60}
	rows, err := a.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2*2*len(aloneWays) {
		t.Fatalf("got %d rows", len(rows))
	}
	for _, r := range rows {
		if r.People != 9 || r.Splits != 2 || r.N == 0 || (r.Bytes > 0) != (r.Way == servedAlone) ||
			(r.Setting != "") != (r.Way == ownLast || r.Way == ownFeatures) {
			t.Errorf("got %+v", r)
		}
	}
	a.NoOwn, a.Splits, a.Shots = true, 1, nil
	if rows, err = a.Run(t.Context()); err != nil || len(rows) != 2*3 {
		t.Errorf("without own heads: got %d rows, %v", len(rows), err)
	}
	delete(u.Labels, d.People[0].ID)
	if _, err := a.Run(t.Context()); err == nil {
		t.Error("an unseen text without a person's label was taken")
	}
}

// TestAloneParts: nobody learns from an unseen text, or from one that is kept back.
func TestAloneParts(t *testing.T) {
	d := fewPeople()
	a := &Alone{Data: d, Unseen: make([]Unseen, 3), Most: 60}
	w := &aloneWorld{World: &World{Labels: d.Labels}, features: &features{}}
	for _, p := range d.People {
		w.own = append(w.own, len(p.Examples))
		w.features.texts = append(w.features.texts,
			&texts{person: p, examples: make([]learner.Example, len(p.Examples)+3)})
	}
	for i, p := range a.parts(w, 0, 0) {
		all := slices.Concat(p.train, p.test)
		slices.Sort(all)
		for at, text := range all {
			if text != at {
				t.Fatalf("got %v and %v, want every text once", p.train, p.test)
			}
		}
		if len(all) != w.own[i]+3 || slices.Max(p.train) >= w.own[i] {
			t.Errorf("learns from %v, is asked for %v, of %d texts and 3 unseen ones", p.train, p.test, w.own[i])
		}
	}
}
