package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xpeft/xpeft/bitmask"
)

func TestPutGet(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	before := time.Now()
	for i := range 50 {
		want := randomProfile(r, fmt.Sprint("user ", i))
		rev, err := s.Put(ctx, want, Write{State: []byte{byte(i)}})
		if err != nil || rev != 1 {
			t.Fatalf("got revision %d, %v, want 1", rev, err)
		}
		got, err := s.Get(want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := diffProfile(got, want); diff != "" {
			t.Fatal(diff)
		}
		if got.Revision != 1 || got.Created.Before(before.Add(-time.Second)) || !got.Updated.Equal(got.Created) {
			t.Errorf("got revision %d, created %v, updated %v", got.Revision, got.Created, got.Updated)
		}
		if state, err := s.State(want.ID); err != nil || len(state) != 1 || state[0] != byte(i) {
			t.Errorf("got state %v, %v, want %d", state, err, i)
		}
	}
	if n, err := s.Count(); n != 50 || err != nil {
		t.Errorf("got %d profiles, %v, want 50", n, err)
	}
}

func TestRevisions(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, History: 2}))
	r := newRand(t)
	var put []*Profile
	for i := range 5 {
		p := randomProfile(r, "ann")
		if rev, err := s.Put(ctx, p, Write{}); err != nil || rev != uint64(i+1) {
			t.Fatalf("got revision %d, %v, want %d", rev, err, i+1)
		}
		put = append(put, p)
	}
	history, err := s.History("ann")
	if err != nil || len(history) != 2 {
		t.Fatalf("got %d revisions, %v, want 2", len(history), err)
	}
	for i, h := range history {
		if h.Revision != uint64(4-i) {
			t.Errorf("got revision %d, want %d", h.Revision, 4-i)
		}
		if diff := diffProfile(h, put[3-i]); diff != "" {
			t.Error(diff)
		}
	}
	first, err := s.Get("ann")
	if err != nil || first.Created.After(first.Updated) {
		t.Errorf("got created %v after updated %v, %v", first.Created, first.Updated, err)
	}
}

func TestCompareAndSet(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	at := func(rev uint64) Write { return Write{IfRevision: &rev} }
	steps := []struct {
		at   uint64
		want error
	}{{1, ErrConflict}, {0, nil}, {0, ErrConflict}, {1, nil}, {1, ErrConflict}, {2, nil}}
	for i, step := range steps {
		if _, err := s.Put(ctx, randomProfile(r, "ann"), at(step.at)); !errors.Is(err, step.want) {
			t.Errorf("step %d: got %v, want %v", i, err, step.want)
		}
	}
}

func TestPutRefusals(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	long := string(make([]byte, 257))
	for name, c := range map[string]struct {
		change func(*Profile)
		want   error
	}{
		"empty id":           {func(p *Profile) { p.ID = "" }, ErrID},
		"long id":            {func(p *Profile) { p.ID = long }, ErrID},
		"id not UTF-8":       {func(p *Profile) { p.ID = "\xff" }, ErrID},
		"unknown bank":       {func(p *Profile) { p.Bank = 2 }, ErrNotFound},
		"bank 0":             {func(p *Profile) { p.Bank = 0 }, ErrNotFound},
		"unknown head":       {func(p *Profile) { p.Head, p.OwnHead = 3, nil }, ErrNotFound},
		"other shape":        {func(p *Profile) { p.Mask = randomMask(r, 21, 5, 2) }, ErrMismatch},
		"not k-hot":          {func(p *Profile) { clear(p.Mask.Row(0, 0)) }, bitmask.ErrCorrupt},
		"no mask":            {func(p *Profile) { p.Mask = nil }, nil},
		"unknown head, rows": {func(p *Profile) { p.Head, p.OwnHead = 1, []byte{1} }, ErrNotFound},
		"large":              {func(p *Profile) { p.Bias = make([]byte, MaxRecord) }, ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			p := maskedProfile(r, "ann")
			c.change(p)
			_, err := s.Put(ctx, p, Write{})
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err := s.PutBatch(ctx, []*Profile{randomProfile(r, "bob"), p}); err == nil {
				t.Error("batch: got nil, want an error")
			}
			if n, err := s.Count(); n != 0 || err != nil {
				t.Errorf("got %d profiles, %v, want 0", n, err)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	for range 3 {
		w := Write{State: []byte("s"), Append: []Example{{Text: "t", Label: "l"}}}
		if _, err := s.Put(ctx, randomProfile(r, "ann"), w); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := s.Get("ann")
	if err := s.Delete(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"get":      second(s.Get("ann")),
		"state":    second(s.State("ann")),
		"history":  second(s.History("ann")),
		"examples": second(s.Examples("ann")),
		"append":   s.AppendExamples(ctx, "ann", []Example{{}}),
		"delete":   s.Delete(ctx, "ann"),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	if _, err := s.Put(ctx, randomProfile(r, "bob"), Write{}); err != nil {
		t.Fatal(err)
	}
	bob, err := s.Get("bob")
	if err != nil || bob.Number != first.Number {
		t.Errorf("got number %d, %v, want the freed %d", bob.Number, err, first.Number)
	}
	if state, err := s.State("bob"); state != nil || err != nil {
		t.Errorf("got state %q, %v, want none", state, err)
	}
	if examples, err := s.Examples("bob"); examples != nil || err != nil {
		t.Errorf("got examples %v, %v, want none", examples, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestExamples(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, MaxExamples: 5, MaxText: 100}))
	r := newRand(t)
	var want []Example
	put := func(w Write) {
		t.Helper()
		if _, err := s.Put(ctx, randomProfile(r, "ann"), w); err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		got, err := s.Examples("ann")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, said(got), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	numbered := func(n int) (examples []Example) {
		for range n {
			i := r.IntN(1e6)
			examples = append(examples, Example{
				Text: fmt.Sprint("text ", i), Pair: "p", Label: "l", Time: time.UnixMicro(int64(i)).UTC(),
			})
		}
		return examples
	}
	for _, n := range []int{2, 2, 2, 0, 9, 5, 1} {
		more := numbered(n)
		put(Write{Append: more})
		want = append(want, more...)
		want = want[max(0, len(want)-5):]
		check()
	}
	put(Write{DropExamples: true, Append: numbered(0)})
	want = nil
	check()
	more := numbered(3)
	if err := s.AppendExamples(ctx, "ann", more); err != nil {
		t.Fatal(err)
	}
	want = more
	check()
	long := []Example{{Text: string(make([]byte, 101))}}
	if _, err := s.Put(ctx, randomProfile(r, "ann"), Write{Append: long}); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
	if err := s.AppendExamples(ctx, "ann", long); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
}

func TestProfiles(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	var batch []*Profile
	for i := range 1000 {
		batch = append(batch, randomProfile(r, fmt.Sprintf("%c/%04d", 'a'+rune(i%3), i)))
	}
	if err := s.PutBatch(ctx, batch); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]int{"": 1000, "a": 334, "b/": 333, "c/0": 333, "d": 0, "a/0000": 1} {
		got, last := 0, ""
		for p, err := range s.Profiles(prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if p.ID <= last {
				t.Errorf("got %q after %q", p.ID, last)
			}
			last = p.ID
			got++
		}
		if got != want {
			t.Errorf("prefix %q: got %d, want %d", prefix, got, want)
		}
	}
	for range s.Profiles("") {
		break
	}
}

// TestExamplesBesideErased adds an example in the transaction that empties the
// pages of the profile behind it, as calls that share one do.
func TestExamplesBesideErased(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, MaxExamples: 100}))
	r := newRand(t)
	long := strings.Repeat("long ", 200)
	for _, id := range []string{"ann", "bob", "eve"} {
		w := Write{}
		for i := range 40 { // some ten pages
			w.Append = append(w.Append, Example{Text: fmt.Sprint(long, i)})
		}
		if _, err := s.Put(ctx, randomProfile(r, id), w); err != nil {
			t.Fatal(err)
		}
	}
	for _, erased := range []string{"bob", "eve"} { // in the middle, and the last
		err := s.write(ctx, func(w *writeTx) error {
			n, err := w.owned([]byte(erased))
			if err != nil {
				return err
			}
			beside, err := w.owned([]byte("ann"))
			return errors.Join(err, w.putBeside(n, Write{DropExamples: true}), w.putBeside(beside, Write{Append: []Example{{Text: "beside " + erased}}}))
		})
		if err != nil {
			t.Errorf("beside %s: %v", erased, err)
		}
	}
	if es, err := s.Examples("ann"); len(es) != 42 || err != nil {
		t.Errorf("got %d examples, %v, want 42", len(es), err)
	}
}
