package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// folded is a TextKey that folds case, and Held by a letter.
var folded = Options{
	NoSync:  true,
	TextKey: func(text, pair string) uint64 { return textHash(strings.ToLower(text), pair) },
	Held:    func(_ string, e Example, _ bool) bool { return strings.Contains(e.Text, "held") },
}

// texts are a profile's examples in a line each: flags, label, text.
func texts(t *testing.T, s *Store, id string) (lines []string) {
	t.Helper()
	examples, err := s.Examples(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples {
		line := ""
		for flag, set := range map[string]bool{"!": e.Rejected} {
			if set {
				line += flag
			}
		}
		line += e.Label + " " + e.Text
		if !e.Known {
			line += " ?"
		}
		lines = append(lines, line)
	}
	return lines
}

func mustAppend(t *testing.T, s *Store, id string, examples ...Example) {
	t.Helper()
	if err := s.AppendExamples(ctx, id, examples); err != nil {
		t.Fatal(err)
	}
}

func waitingOf(t *testing.T, s *Store, id string) int {
	t.Helper()
	p, err := s.Person(id)
	if err != nil {
		t.Fatal(err)
	}
	return p.Waiting
}

// TestOneTextCountsOnce: a later label replaces the earlier one; a repetition
// becomes the newest and waits for nothing.
func TestOneTextCountsOnce(t *testing.T) {
	s := newStore(t, with(folded))
	if _, err := s.Put(ctx, randomProfile(newRand(t), "ann"), Write{}); err != nil {
		t.Fatal(err)
	}
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, texts(t, s, "ann")); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	mustAppend(t, s, "ann", Example{Text: "a", Label: "x"}, Example{Text: "b", Label: "x"})
	check("two texts", "x a ?", "x b ?")
	mustAppend(t, s, "ann", Example{Text: "A", Label: "x"})
	check("a repetition before any training still waits", "x b ?", "x A ?")
	examples, err := s.Examples("ann")
	if err != nil {
		t.Fatal(err)
	}
	through := examples[len(examples)-1].Sequence + 1
	mustAppend(t, s, "ann", Example{Text: "c", Label: "y"}) // while that is learned
	if err := s.Beside(ctx, "ann", Write{Learned: through}); err != nil {
		t.Fatal(err)
	}
	check("what came meanwhile waits", "x b", "x A", "y c ?")
	mustAppend(t, s, "ann", Example{Text: "B", Label: "x"})
	check("a repetition is the newest", "x A", "y c ?", "x B")
	mustAppend(t, s, "ann", Example{Text: "b", Label: "z"})
	check("another label replaces, and waits", "x A", "y c ?", "z b ?")
	mustAppend(t, s, "ann", Example{Text: "a", Label: "y", Rejected: true})
	check("a rejection of another label stays beside", "x A", "y c ?", "z b ?", "!y a ?")
	mustAppend(t, s, "ann", Example{Text: "a", Label: "x", Rejected: true})
	check("a rejection of the label takes it back", "y c ?", "z b ?", "!y a ?", "!x a ?")
	mustAppend(t, s, "ann", Example{Text: "a", Label: "z"})
	check("a label replaces all rejections", "y c ?", "z b ?", "z a ?")
	if n := waitingOf(t, s, "ann"); n != 3 {
		t.Errorf("got %d waiting, want 3", n)
	}
	s = reopen(t, s, with(folded))
	all, err := s.Waiting(ctx)
	if want := []Waiting{{ID: "ann", Examples: 3, Learned: all[0].Learned}}; err != nil || !slices.Equal(all, want) {
		t.Errorf("after Open: got %v, %v, want %v", all, err, want)
	}
	if err := s.Beside(ctx, "ann", Write{DropExamples: true}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "ann", Example{Text: "d", Label: "x"})
	check("numbers are never used again", "x d ?")
}

// TestHeldForLife: which side an example is on stays with the text, whatever
// label it gets and wherever the profile goes.
func TestHeldForLife(t *testing.T) {
	s := newStore(t, with(folded))
	if _, err := s.Put(ctx, randomProfile(newRand(t), "ann"), Write{}); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "ann", Example{Text: "held", Label: "x"}, Example{Text: "not", Label: "x"},
		Example{Text: "HELD", Label: "y"})
	other := folded
	other.Held = func(string, Example, bool) bool { t.Error("asked again"); return false }
	to := newStore(t, with(other))
	if _, err := to.Import(ctx, bytes.NewReader(export(t, s, everything)), ImportOptions{Prefix: "new/"}); err != nil {
		t.Fatal(err)
	}
	examples, err := to.Examples("new/ann")
	if err != nil || len(examples) != 2 || examples[0].Held || !examples[1].Held || examples[1].Text != "HELD" {
		t.Errorf("got %+v, %v, want that HELD is", examples, err)
	}
}

// TestHeldOfOldBundle: of a file that does not say, the id decides that the
// profile had in it.
func TestHeldOfOldBundle(t *testing.T) {
	asked := map[string]bool{}
	s := newStore(t, with(Options{NoSync: true, Held: func(id string, e Example, old bool) bool {
		asked[fmt.Sprint(id, " ", e.Text, " ", old)] = true
		return e.Text == "text"
	}}))
	if _, err := s.Import(ctx, bytes.NewReader(goldenBytes(t, "bundle-v1.bin")),
		ImportOptions{Prefix: "new/"}); err != nil {
		t.Fatal(err)
	}
	examples, err := s.Examples("new/anna@example.org")
	if err != nil || len(examples) != 2 || !examples[0].Held || examples[1].Held ||
		!asked["anna@example.org text true"] || len(asked) != 2 {
		t.Errorf("got %+v, %v, asked %v", examples, err, asked)
	}
}

// TestFullBufferKeepsLabels: a stream of one label, of numbers or of one text
// does not push others out.
func TestFullBufferKeepsLabels(t *testing.T) {
	o := with(Options{NoSync: true, MaxExamples: 40})
	for name, stream := range map[string]func(i int) Example{
		"one label": func(i int) Example { return Example{Text: fmt.Sprint("new ", i), Label: "c"} },
		"numbers":   func(i int) Example { return Example{Text: fmt.Sprint("new ", i), Label: fmt.Sprint("\x01", i)} },
		"one text":  func(int) Example { return Example{Text: "again", Label: "c"} },
		"rejected":  func(i int) Example { return Example{Text: fmt.Sprint("new ", i), Label: "c", Rejected: true} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, o)
			if _, err := s.Put(ctx, randomProfile(newRand(t), "ann"), Write{}); err != nil {
				t.Fatal(err)
			}
			for i := range 40 {
				label := "a"
				if i >= 36 {
					label = "b"
				}
				mustAppend(t, s, "ann", Example{Text: fmt.Sprint(i), Label: label})
			}
			for i := range 300 {
				mustAppend(t, s, "ann", stream(i))
			}
			counts := map[string]int{}
			examples, err := s.Examples("ann")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range examples {
				counts[e.class()]++
			}
			if len(examples) != 40 || counts["b"] != 4 || counts["a"] < 18 {
				t.Errorf("got %v, want 40: all 4 of b, and at least 18 of a", counts)
			}
		})
	}
}

// TestForgetExample: nothing of a text stays in the folder, and the profile is due.
func TestForgetExample(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	w := Write{State: []byte("logits"),
		Append: []Example{{Text: "the secret", Label: "x"}, {Text: "another", Label: "y"}},
		Person: func(p *Person) { p.Notes = []byte("notes") }}
	for range 2 {
		if _, err := s.Put(ctx, randomProfile(r, "ann"), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Beside(ctx, "ann", Write{Learned: 99}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Get("ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ForgetExample(ctx, "ann", textHash("never", "")); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such text: got %v, want ErrNotFound", err)
	}
	n, err := s.ForgetExample(ctx, "ann", textHash("the secret", ""))
	if n != 1 || err != nil {
		t.Fatalf("got %d, %v, want 1", n, err)
	}
	after, err := s.Get("ann")
	state, serr := s.State("ann")
	history, herr := s.History("ann")
	person, perr := s.Person("ann")
	if err := errors.Join(err, serr, herr, perr); err != nil {
		t.Fatal(err)
	}
	if state != nil || len(history) != 0 || !person.Anew || string(person.Notes) != "notes" || person.Waiting != 0 {
		t.Errorf("got state %q, %d earlier revisions, %+v", state, len(history), person)
	}
	if diff := diffProfile(after, before); diff != "" {
		t.Error(diff)
	}
	if moved := after.Number != before.Number; moved != (s.keys != nil) {
		t.Errorf("got number %d after %d", after.Number, before.Number)
	}
	if got := texts(t, s, "ann"); !slices.Equal(got, []string{"y another"}) {
		t.Errorf("got %q", got)
	}
	all, err := s.Waiting(ctx)
	if err != nil || len(all) != 1 || all[0].ID != "ann" || !all[0].Anew {
		t.Errorf("got %v, %v, want ann to be due", all, err)
	}
}

func TestMaxAge(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, MaxAge: time.Hour}))
	old := time.Now().Add(-2 * time.Hour)
	w := Write{Append: []Example{{Text: "new", Label: "x", Time: time.Now()}, {Text: "undated", Label: "x"}}}
	for _, id := range []string{"ann", "bob"} {
		if _, err := s.Put(ctx, randomProfile(newRand(t), id), w); err != nil {
			t.Fatal(err)
		}
	}
	mustAppend(t, s, "ann", Example{Text: "old", Label: "x", Time: old})
	if got := texts(t, s, "ann"); len(got) != 2 {
		t.Errorf("got %q, want nothing old", got)
	}
	if n, err := s.Expire(ctx, ""); n != 1 || err != nil {
		t.Errorf("got %d, %v, want 1", n, err)
	}
	if n := waitingOf(t, s, "ann"); n != 2 {
		t.Errorf("got %d waiting, want 2", n)
	}
}

// TestValuesBeside: a value that two writers change at once counts both.
func TestValuesBeside(t *testing.T) {
	s := newStore(t, fast)
	if _, err := s.Put(ctx, randomProfile(newRand(t), "ann"), Write{}); err != nil {
		t.Fatal(err)
	}
	more := Write{Values: map[string]func([]byte) []byte{"n": func(old []byte) []byte { return append(old, 'x') }}}
	errs := make(chan error)
	for range 20 {
		go func() { errs <- s.Beside(ctx, "ann", more) }()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if v, err := s.GetMeta("n"); len(v) != 20 || err != nil {
		t.Errorf("got %q, %v, want 20", v, err)
	}
}

// TestTrimIsOneByOne compares trim with dropping one example after another.
func TestTrimIsOneByOne(t *testing.T) {
	r := newRand(t)
	for range 300 {
		sh := &shelf{opts: &Options{TextKey: textHash}}
		for i := range r.IntN(60) {
			sh.place(Example{Key: uint64(r.IntN(40)), Sequence: uint64(i),
				Label: string(rune('a' + r.IntN(1+r.IntN(6))))})
		}
		limit, want := r.IntN(30), slices.Clone(sh.all())
		for len(want) > limit {
			n := map[string]int{}
			for _, e := range want {
				n[e.Label]++
			}
			most := slices.Max(slices.Collect(maps.Values(n)))
			i := slices.IndexFunc(want, func(e Example) bool { return n[e.Label] == most })
			want = slices.Delete(want, i, i+1)
		}
		sh.trim(limit)
		if diff := cmp.Diff(want, sh.all(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("limit %d: %s", limit, diff)
		}
	}
}

// BenchmarkAppendMany adds as many examples as one call may bring.
func BenchmarkAppendMany(b *testing.B) {
	s := newStore(b, fast)
	if _, err := s.Put(ctx, randomProfile(newRand(b), "ann"), Write{}); err != nil {
		b.Fatal(err)
	}
	var many []Example
	for i := range 100_000 {
		many = append(many, Example{Text: fmt.Sprint("text ", i%70_000), Label: fmt.Sprint("label ", i%1000)})
	}
	for b.Loop() {
		if err := s.AppendExamples(ctx, "ann", many); err != nil {
			b.Fatal(err)
		}
	}
}
