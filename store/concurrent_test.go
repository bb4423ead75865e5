package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestConcurrent has readers, writers, imports, exports and listings at once.
// Every profile says the same thing in all its parts, so that a reader sees a
// mixed one.
func TestConcurrent(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, History: 1, MaxExamples: 3}))
	stop, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	run := func(fn func(r *rand.Rand) error) {
		seed := rand.Uint64()
		workers.Add(1)
		go func() {
			defer workers.Done()
			for r := rand.New(rand.NewPCG(seed, 0)); stop.Err() == nil; {
				if err := fn(r); err != nil && !errors.Is(err, ErrNotFound) && stop.Err() == nil {
					t.Error(err)
					cancel()
				}
			}
		}()
	}
	put := func(r *rand.Rand) error {
		p, w := marked(r, fmt.Sprint("user", r.IntN(20)))
		_, err := s.Put(ctx, p, w)
		return err
	}
	for range 3 {
		run(put)
	}
	run(func(r *rand.Rand) error { return s.Delete(ctx, fmt.Sprint("user", r.IntN(20))) })
	run(func(r *rand.Rand) error {
		var b bytes.Buffer
		if _, err := s.Export(ctx, &b, everything); err != nil {
			return err
		}
		_, err := s.Import(ctx, &b, ImportOptions{Policy: Policy(1 + r.IntN(2))})
		return err
	})
	run(func(r *rand.Rand) error {
		p, err := s.Get(fmt.Sprint("user", r.IntN(20)))
		return errors.Join(err, checkMarked(p))
	})
	run(func(r *rand.Rand) error {
		for p, err := range s.Profiles("") {
			if err := errors.Join(err, checkMarked(p)); err != nil {
				return err
			}
		}
		return nil
	})
	run(func(r *rand.Rand) error {
		filter := Filter{Bank: 1, Label: []string{"", "a", "c"}[r.IntN(3)]}
		for p, err := range s.Profiles("", filter) {
			if err := errors.Join(err, checkMarked(p)); err != nil {
				return err
			}
		}
		return second(s.Stats())
	})
	run(func(*rand.Rand) error { return second(s.Compact(stop)) })
	length := time.Second
	if !testing.Short() {
		length = 3 * time.Second
	}
	time.Sleep(length)
	cancel()
	workers.Wait()
	checkCohorts(t, s)
	st, err := s.Stats()
	t.Logf("%d reads, %d writes in %d transactions, %v", st.Reads, st.Writes, st.Commits, err)
}

// marked returns a profile whose parts all hold the same number.
func marked(r *rand.Rand, id string) (*Profile, Write) {
	p := randomProfile(r, id)
	mark := binary.BigEndian.AppendUint64(nil, r.Uint64())
	p.Affine, p.Bias = mark, mark
	p.Examples = binary.BigEndian.Uint32(mark)
	return p, Write{State: mark, Append: []Example{{Text: "t"}}}
}

func checkMarked(p *Profile) error {
	if p == nil {
		return nil
	}
	if !bytes.Equal(p.Affine, p.Bias) || p.Examples != binary.BigEndian.Uint32(p.Bias) {
		return fmt.Errorf("profile %q is mixed", p.ID)
	}
	return nil
}

// TestGroupCommit says that calls at the same time share transactions, and
// that one that fails spoils none of the others.
func TestGroupCommit(t *testing.T) {
	s := newStore(t, with(Options{})) // with fsync, for them to wait for
	before, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	const calls = 64
	var wg sync.WaitGroup
	failed := make([]error, calls)
	for i := range calls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(i), 0))
			p := maskedProfile(r, fmt.Sprint("user", i))
			if i%8 == 0 {
				p.Bank = 99
			}
			_, failed[i] = s.Put(ctx, p, Write{})
		}()
	}
	wg.Wait()
	for i, err := range failed {
		want := error(nil)
		if i%8 == 0 {
			want = ErrNotFound
		}
		if !errors.Is(err, want) {
			t.Errorf("call %d: got %v, want %v", i, err, want)
		}
		if _, err := s.Get(fmt.Sprint("user", i)); !errors.Is(err, want) {
			t.Errorf("profile %d: got %v, want %v", i, err, want)
		}
	}
	after, err := s.Stats()
	done := after.Sub(before)
	if err != nil || done.Writes != calls*7/8 || done.Commits >= done.Writes {
		t.Errorf("got %d writes in %d commits, %v, want %d in fewer", done.Writes, done.Commits, err, calls*7/8)
	}
}

func TestCancelled(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	var b bytes.Buffer
	for what, err := range map[string]error{
		"put":     second(s.Put(gone, randomProfile(r, "ann"), Write{})),
		"batch":   s.PutBatch(gone, []*Profile{randomProfile(r, "ann")}),
		"delete":  s.Delete(gone, "ann"),
		"export":  second(s.Export(gone, &b, ExportOptions{})),
		"import":  second(s.Import(gone, bytes.NewReader(export(t, s, everything)), ImportOptions{})),
		"backup":  second(s.Backup(gone, &b, nil)),
		"check":   second(s.Check(gone, true)),
		"compact": second(s.Compact(gone)),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", what, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	r := newRand(t)
	s := filled(t, r, 5)
	want := contents(t, s)
	s = reopen(t, s, with(Options{ReadOnly: true}))
	other, err := Open(s.Path(), with(Options{ReadOnly: true, Timeout: 50 * time.Millisecond}))
	if err != nil {
		t.Fatalf("second reader: %v", err)
	}
	defer other.Close()
	if got := contents(t, s); len(got) != len(want) {
		t.Errorf("got %d profiles, want %d", len(got), len(want))
	}
	checkCohorts(t, s)
	for what, err := range map[string]error{
		"put":     second(s.Put(ctx, randomProfile(r, "ann"), Write{})),
		"delete":  s.Delete(ctx, "user001"),
		"import":  second(s.Import(ctx, bytes.NewReader(export(t, s, everything)), ImportOptions{})),
		"compact": second(s.Compact(ctx)),
		"bank":    second(s.PutBank(ctx, testBank)),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: got %v, want ErrReadOnly", what, err)
		}
	}
}
