package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSimulation runs random operations against a map, with the file opened
// again now and then.
func TestSimulation(t *testing.T) {
	r := newRand(t)
	steps := 3000
	if testing.Short() || raceEnabled {
		steps = 600
	}
	o := with(Options{NoSync: true, History: 2, MaxExamples: 4})
	s := mixed(t, newStore(t, o), 0)
	model := map[string]*modelled{}
	for i := range steps {
		id := fmt.Sprint("user", r.IntN(30))
		m := model[id]
		var err error
		switch r.IntN(14) {
		case 0:
			err = s.Delete(ctx, id)
			if err = expect(err, m == nil); err == nil {
				delete(model, id)
			}
		case 1:
			more := []Example{{Text: fmt.Sprint("more ", i)}}
			if err = expect(s.AppendExamples(ctx, id, more), m == nil); err == nil && m != nil {
				m.add(more)
			}
		case 2:
			s = reopen(t, s, o)
		case 3:
			if _, err = rollBack(s, id); err == nil {
				m.put(m.revisions[len(m.revisions)-2])
				m.state = nil
			} else if errors.Is(err, ErrNotFound) && (m == nil || len(m.revisions) < 2) {
				err = nil
			}
		case 12:
			err = s.simulateBeside(r, i)
		case 13:
			_, err = s.Compact(ctx)
		case 4:
			var b bytes.Buffer
			if _, err = s.Export(ctx, &b, everything); err == nil {
				err = s.simulateImport(&b, model, i)
			}
		default:
			w := Write{}
			p := mixedProfile(r, id)
			if m == nil {
				m = &modelled{}
				model[id] = m
			}
			if r.IntN(2) == 0 {
				w.State, m.state = []byte{byte(i), 1}, []byte{byte(i), 1}
			} else if r.IntN(4) == 0 {
				w.DropState, m.state = true, nil
			}
			if r.IntN(5) == 0 {
				w.DropExamples, m.examples = true, nil
			}
			for range r.IntN(4) {
				w.Append = append(w.Append, Example{Text: fmt.Sprint("text ", r.IntN(8)), Label: "l"})
			}
			m.add(w.Append)
			m.put(p)
			_, err = s.Put(ctx, p, w)
		}
		if err != nil {
			t.Fatalf("step %d, %s: %v", i, id, err)
		}
		compare(t, s, id, model[id])
		compareSums(t, s)
		compareCohorts(t, s, model)
	}
	if n, err := s.Count(); n != len(model) || err != nil {
		t.Errorf("got %d profiles, %v, want %d", n, err, len(model))
	}
	checkCohorts(t, s)
}

// modelled is what the store should hold of a profile.
type modelled struct {
	revisions []*Profile // the last is the current one
	state     []byte
	examples  []Example
}

func (m *modelled) put(p *Profile) {
	if m.revisions = append(m.revisions, p); len(m.revisions) > 3 {
		m.revisions = m.revisions[1:]
	}
}

func (m *modelled) add(examples []Example) {
	for _, e := range examples {
		m.examples = slices.DeleteFunc(slices.Clone(m.examples), func(old Example) bool { return old.Text == e.Text })
		m.examples = append(m.examples, e)
	}
	for len(m.examples) > 4 {
		n := map[string]int{}
		for _, e := range m.examples {
			n[e.Label]++
		}
		most := slices.Max(slices.Collect(maps.Values(n)))
		i := slices.IndexFunc(m.examples, func(e Example) bool { return n[e.Label] == most })
		m.examples = slices.Delete(m.examples, i, i+1)
	}
}

// said is what examples say, without what the store adds to them.
func said(examples []Example) (out []Example) {
	for _, e := range examples {
		out = append(out, Example{Text: e.Text, Pair: e.Pair, Label: e.Label, Time: e.Time, Rejected: e.Rejected,
			Weight: e.Weight})
	}
	return out
}

// expect wants ErrNotFound exactly if missing.
func expect(err error, missing bool) error {
	if errors.Is(err, ErrNotFound) == missing {
		if missing {
			return nil
		}
		return err
	}
	return fmt.Errorf("got %v, want ErrNotFound: %t", err, missing)
}

// simulateBeside puts or deletes values, heads and names.
func (s *Store) simulateBeside(r *rand.Rand, i int) error {
	ref, _, err := s.PutHead(ctx, []byte{byte(r.IntN(8))})
	value := []byte{byte(i)}
	if r.IntN(3) == 0 {
		value = nil
	}
	key := fmt.Sprint("key", r.IntN(3))
	return errors.Join(err, s.SetHeadName(ctx, key, ref), s.PutMeta(ctx, key, value))
}

// simulateImport takes everything in again: under another prefix, or in the
// place of what is there.
func (s *Store) simulateImport(b *bytes.Buffer, model map[string]*modelled, i int) error {
	if i%2 == 0 {
		_, err := s.Import(ctx, b, ImportOptions{Policy: Overwrite})
		for _, m := range model { // the history goes
			m.revisions = m.revisions[len(m.revisions)-1:]
		}
		return err
	}
	prefix := fmt.Sprint("import", i, "/")
	if _, err := s.Import(ctx, b, ImportOptions{Prefix: prefix}); err != nil {
		return err
	}
	for id := range model {
		if err := s.Delete(ctx, prefix+id); err != nil {
			return err
		}
	}
	return nil
}

func compare(t *testing.T, s *Store, id string, m *modelled) {
	t.Helper()
	if diff := difference(s, id, m, asPut); diff != "" {
		t.Fatalf("%s: %s", id, diff)
	}
}

// compareCohorts compares listings by filters with the model, and the sets with
// the records.
func compareCohorts(t *testing.T, s *Store, model map[string]*modelled) {
	t.Helper()
	for _, f := range testFilters {
		var want, got []string
		for id, m := range model {
			if p := m.revisions[len(m.revisions)-1]; f.fitting(p, simulatedHead(p), true) {
				want = append(want, id)
			}
		}
		for p, err := range s.Profiles("", f) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.ID)
		}
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Fatalf("%+v: got %q, want %q", f, got, want)
		}
	}
	err := s.view(func(x *txn) error {
		c := &checker{ctx: ctx, t: x, rules: &s.rules}
		err := c.checkCohorts()
		if len(c.report.Problems) > 0 || c.report.Cohorts == 0 && len(model) > 0 && testKey == nil {
			t.Fatalf("got %d sets, %q", c.report.Cohorts, c.report.Problems)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// simulatedHead is the head of a mixedProfile.
func simulatedHead(p *Profile) []byte {
	if p.Head != 0 {
		return testHead(byte(p.Head - 1))
	}
	return p.OwnHead
}

// compareSums counts the keys anew.
func compareSums(t *testing.T, s *Store) {
	t.Helper()
	err := s.view(func(x *txn) error {
		got, err := readSums(x.Tx)
		if want := countSums(x.Tx); got != want {
			t.Errorf("got sums %x, want %x", got, want)
		}
		return err
	})
	if err != nil || t.Failed() {
		t.Fatal(err)
	}
}

// difference says how what the store has of a profile is not m; nil is that it
// has nothing.
func difference(s *Store, id string, m *modelled, o cmp.Options) string {
	got, err := s.Get(id)
	if m == nil {
		if !errors.Is(err, ErrNotFound) {
			return fmt.Sprintf("got %v, want ErrNotFound", err)
		}
		return ""
	}
	state, serr := s.State(id)
	examples, eerr := s.Examples(id)
	history, herr := s.History(id)
	if err := errors.Join(err, serr, eerr, herr); err != nil {
		return err.Error()
	}
	all := append([]*Profile{got}, history...)
	slices.Reverse(all)
	if diff := cmp.Diff(m.revisions, all, o); diff != "" {
		return "revisions: " + diff
	}
	if !bytes.Equal(state, m.state) || !slices.Equal(said(examples), said(m.examples)) {
		return fmt.Sprintf("got state %v, examples %v, want %v, %v", state, examples, m.state, m.examples)
	}
	return ""
}
