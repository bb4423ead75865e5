package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/format"
)

// bundled is a bundle of n marked profiles, and what is in it.
func bundled(t *testing.T, r *rand.Rand, n int) ([]byte, map[string]content) {
	t.Helper()
	from := newStore(t, fast)
	for i := range n {
		p, w := marked(r, crashID(i))
		if _, err := from.Put(ctx, p, w); err != nil {
			t.Fatal(err)
		}
	}
	return export(t, from, everything), contents(t, from)
}

// TestImportConcurrent puts, deletes and gets the profiles of a bundle while it
// is merged, each id in one goroutine, and compares with a model: an id changes by
// what its goroutine did, and at most once to what the bundle has.
func TestImportConcurrent(t *testing.T) {
	const profiles, workers = 120, 4
	for _, policy := range []Policy{Overwrite, Skip} {
		t.Run(fmt.Sprint(policy), func(t *testing.T) {
			r := newRand(t)
			bundle, theirs := bundled(t, r, profiles)
			s := newStore(t, fast)
			s.batch = 3
			mine := make([]map[string]*Profile, workers) // nil: deleted
			for i := range workers {
				mine[i] = map[string]*Profile{}
			}
			for i := 0; i < profiles; i += 20 { // and wide gaps between
				p, w := marked(r, crashID(i))
				if _, err := s.Put(ctx, p, w); err != nil {
					t.Fatal(err)
				}
				mine[i%workers][p.ID] = p
			}
			merging := make(chan struct{})
			begin := sync.OnceFunc(func() { close(merging) })
			s.committed = func() {
				var left *pendingImport
				if _ = s.view(func(x *txn) (err error) { left, err = readPending(x.Tx); return err }); left != nil {
					begin() // before that the gaps would be filled
				}
			}
			stop, cancel := context.WithCancel(ctx)
			var done sync.WaitGroup
			merged := make([]map[string]bool, workers)
			for i := range workers {
				merged[i] = map[string]bool{}
				seed := r.Uint64()
				done.Add(1)
				go func() {
					defer done.Done()
					r := rand.New(rand.NewPCG(seed, 1))
					<-merging
					for stop.Err() == nil {
						id := crashID(workers*r.IntN(profiles/workers) + i)
						if err := s.modelledStep(r, id, policy, mine[i], merged[i], theirs[id].Profile); err != nil {
							t.Errorf("%s: %v", id, err)
							return
						}
					}
				}()
			}
			report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: policy})
			begin() // also if it has not
			cancel()
			done.Wait()
			if err != nil || report.Total != profiles || report.Merged != profiles ||
				report.Profiles+report.Skipped != profiles {
				t.Errorf("got %+v, %v, want %d merged", report, err, profiles)
			}
			for i := range workers {
				for id := range mine[i] {
					if err := s.sees(id, policy, mine[i], merged[i], theirs[id].Profile); err != nil {
						t.Errorf("%s in the end: %v", id, err)
					}
				}
			}
			if err := s.nothingPending(); err != nil {
				t.Error(err)
			}
		})
	}
}

func (s *Store) modelledStep(r *rand.Rand, id string, policy Policy, mine map[string]*Profile, merged map[string]bool,
	theirs *Profile) error {
	switch r.IntN(4) {
	case 0:
		p, w := marked(r, id)
		if _, err := s.Put(ctx, p, w); err != nil {
			return err
		}
		mine[id] = p
	case 1:
		if err := s.Delete(ctx, id); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		mine[id] = nil
	}
	return s.sees(id, policy, mine, merged, theirs)
}

// sees gets a profile: it must be mine, or be the bundle's from now on.
func (s *Store) sees(id string, policy Policy, mine map[string]*Profile, merged map[string]bool,
	theirs *Profile) error {
	got, err := s.Get(id)
	if errors.Is(err, ErrNotFound) {
		got, err = nil, nil
	}
	if err = errors.Join(err, checkMarked(got)); err != nil {
		return err
	}
	same := func(a, b *Profile) bool { return (a == nil) == (b == nil) && (a == nil || bytes.Equal(a.Bias, b.Bias)) }
	switch {
	case same(got, mine[id]):
		return nil
	case !merged[id] && same(got, theirs) && (policy == Overwrite || mine[id] == nil):
		merged[id], mine[id] = true, theirs
		return nil
	}
	return fmt.Errorf("got %+v, want %+v, or the bundle's %+v unless that was seen (%t)", got, mine[id], theirs,
		merged[id])
}

// TestFailAgainstWriters has another writer put a profile of a bundle that is
// being merged under Fail: the writer's stays, the others are merged, and the error says so.
func TestFailAgainstWriters(t *testing.T) {
	r := newRand(t)
	bundle, theirs := bundled(t, r, 8)
	s := newStore(t, fast)
	s.batch = 2
	done := make(chan error)
	mine := randomProfile(r, crashID(6))
	started := false
	s.committed = func() {
		if started || s.pending(t) == nil {
			return
		}
		started = true
		queued := make(chan struct{})
		go func() {
			close(queued)
			done <- second(s.Put(ctx, mine, Write{}))
		}()
		<-queued
		for n := 0; n == 0; { // the writer has the lock: it comes before the next batch
			s.queueLock.Lock()
			n = len(s.queue)
			s.queueLock.Unlock()
		}
	}
	report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{})
	if perr := <-done; perr != nil {
		t.Fatal(perr)
	}
	if !errors.Is(err, ErrExists) || report.Merged != 8 || report.Profiles != 7 || report.Skipped != 1 {
		t.Errorf("got %+v, %v, want ErrExists, and 7 of 8", report, err)
	}
	got := contents(t, s)
	if diff := diffProfile(got[mine.ID].Profile, mine); diff != "" {
		t.Error(diff)
	}
	delete(got, mine.ID)
	delete(theirs, mine.ID)
	if diff := cmp.Diff(theirs, got, byValue); diff != "" {
		t.Error(diff)
	}
	if err := s.nothingPending(); err != nil {
		t.Error(err)
	}
}

// TestImportCancelled cancels an import: while it is verified nothing has
// happened, while it is merged it goes on to the end.
func TestImportCancelled(t *testing.T) {
	r := newRand(t)
	bundle, theirs := bundled(t, r, 8)
	s := newStore(t, fast)
	s.batch = 2
	soon, cancel := context.WithCancel(ctx)
	report, err := s.Import(soon, &hookReader{bytes.NewReader(bundle), cancel}, ImportOptions{})
	if !errors.Is(err, context.Canceled) || !cmp.Equal(report, ImportReport{}) || len(contents(t, s)) != 0 {
		t.Errorf("got %+v, %v, and %d profiles, want none", report, err, len(contents(t, s)))
	}
	if err := s.nothingPending(); err != nil {
		t.Error(err)
	}
	soon, cancel = context.WithCancel(ctx)
	s.committed = func() {
		if s.pending(t) != nil {
			cancel()
		}
	}
	report, err = s.Import(soon, bytes.NewReader(bundle), ImportOptions{})
	if err != nil || report.Profiles != 8 || soon.Err() == nil {
		t.Errorf("got %+v, %v, cancelled %v, want 8", report, err, soon.Err())
	}
	if diff := cmp.Diff(theirs, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
}

// TestImportClosed closes the store in the middle of a merge: Import says how
// far it is, and so does Stats, of a read-only store; the next Open merges the rest.
func TestImportClosed(t *testing.T) {
	r := newRand(t)
	bundle, theirs := bundled(t, r, 8)
	s := newStore(t, fast)
	s.batch = 2
	s.committed = func() {
		if p := s.pending(t); p != nil && p.merged == 4 {
			s.closing.Store(true)
		}
	}
	report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{})
	if !errors.Is(err, ErrClosed) || report.Total != 8 || report.Merged != 4 || report.Profiles != 4 {
		t.Errorf("got %+v, %v, want ErrClosed, and 4 of 8", report, err)
	}
	s.committed = nil
	s = reopen(t, s, with(Options{ReadOnly: true}))
	if st, err := s.Stats(); st.Imports != 1 || st.Unmerged != 4 || st.Profiles != 4 || err != nil {
		t.Errorf("read-only: got %+v, %v, want one import, 4 profiles to be merged", st, err)
	}
	s = reopen(t, s, fast)
	if st, err := s.Stats(); st.Imports != 0 || st.Unmerged != 0 || err != nil {
		t.Errorf("got %+v, %v, want no import", st, err)
	}
	if diff := cmp.Diff(theirs, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
	checkCohorts(t, s)
}

// TestDeletedWhileMerging deletes profiles that an import has too, while it waits to go on: once
// the store is opened again it brings none back.
func TestDeletedWhileMerging(t *testing.T) {
	r := newRand(t)
	s, _, after := halfMerged(t, r, fast)
	if err := s.Delete(ctx, crashID(5)); err != nil { // not merged yet
		t.Fatal(err)
	}
	if err := s.Delete(ctx, crashID(0)); err != nil { // merged
		t.Fatal(err)
	}
	delete(after, crashID(5))
	delete(after, crashID(0))
	s = reopen(t, s, fast)
	if diff := cmp.Diff(after, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
	err := s.view(func(tx *txn) error {
		if left := tx.Bucket(format.Meta).prefixed(format.KeyGone); len(left) > 0 {
			return fmt.Errorf("%q are left", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFailFinishedLater has the next import finish one under Fail, of which an id
// was put meanwhile: that one stays, the others are merged, and the next import is done.
func TestFailFinishedLater(t *testing.T) {
	r := newRand(t)
	bundle, theirs := bundled(t, r, 8)
	s := newStore(t, fast)
	s.batch = 2
	s.committed = func() { s.closing.Store(s.pending(t) != nil) }
	if report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{}); !errors.Is(err, ErrClosed) ||
		report.Merged != 2 {
		t.Fatalf("got %+v, %v, want ErrClosed after 2", report, err)
	}
	s.committed = nil
	s.closing.Store(false)
	mine := randomProfile(r, crashID(2)) // in the batch that goes on
	if _, err := s.Put(ctx, mine, Write{}); err != nil {
		t.Fatal(err)
	}
	if report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Prefix: "next/"}); err != nil ||
		report.Profiles != 8 {
		t.Fatalf("got %+v, %v, want 8", report, err)
	}
	got := contents(t, s)
	if diff := diffProfile(got[mine.ID].Profile, mine); diff != "" || len(got) != 16 {
		t.Errorf("got %d profiles, want 16: %s", len(got), diff)
	}
	for id := range theirs {
		if id != mine.ID && !cmp.Equal(got[id], theirs[id], byValue) {
			t.Errorf("%s: got %+v, want %+v", id, got[id], theirs[id])
		}
	}
}
