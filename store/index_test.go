package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/bitmask"
)

// checkQueries compares With and UseCounts with the profiles themselves.
func checkQueries(t testing.TB, s *Store, bank uint32, adapters ...int) {
	t.Helper()
	use := newBankUse(20, 2)
	want := map[int][]string{}
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		if p.Bank != bank {
			continue
		}
		use.count(p.Mask, 1)
		for _, a := range adapters {
			if p.Mask.Row(bitmask.Up, 1).Get(a) {
				want[a] = append(want[a], p.ID)
			}
		}
	}
	for _, a := range adapters {
		var got []string
		for id, err := range s.With(ctx, bank, bitmask.Up, 1, a) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want[a], got); diff != "" {
			t.Errorf("adapter %d: %s", a, diff)
		}
	}
	counts, profiles, err := s.UseCounts(ctx, bank)
	if err != nil || profiles != int(use.profiles) {
		t.Errorf("got %d profiles, %v, want %d", profiles, err, use.profiles)
	}
	if diff := cmp.Diff(use.table(), counts); diff != "" {
		t.Errorf("use counts: %s", diff)
	}
}

// churn puts, changes and deletes random profiles.
func churn(t testing.TB, s *Store, r *rand.Rand, n int) {
	t.Helper()
	for range n {
		id := fmt.Sprint("user", r.IntN(60))
		var err error
		if r.IntN(3) == 0 {
			if err = s.Delete(ctx, id); errors.Is(err, ErrNotFound) {
				err = nil
			}
		} else {
			p := randomProfile(r, id)
			p.Bank = 1 + r.Uint32N(2)
			_, err = s.Put(ctx, p, Write{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// twoBanks adds a bank of the same shape, ref 2.
func twoBanks(t testing.TB, s *Store) {
	t.Helper()
	other := testBank
	other.Digest = Digest{8}
	if _, err := s.PutBank(ctx, other); err != nil {
		t.Fatal(err)
	}
}

func TestIndexQueries(t *testing.T) {
	for name, o := range map[string]*Options{"index": fast, "no index": with(Options{NoSync: true, NoIndex: true})} {
		t.Run(name, func(t *testing.T) {
			r := newRand(t)
			s := newStore(t, o)
			twoBanks(t, s)
			for range 3 {
				churn(t, s, r, 100)
				checkQueries(t, s, 1, 0, 7, 19)
				if err := s.FlushIndex(ctx); err != nil {
					t.Fatal(err)
				}
				checkQueries(t, s, 1, 0, 7, 19)
				checkQueries(t, s, 2, 3)
				s = reopen(t, s, o)
				checkQueries(t, s, 1, 0, 7, 19)
			}
			for what, err := range map[string]error{
				"bank":    second(first(s.With(ctx, 9, 0, 0, 0))),
				"block":   second(first(s.With(ctx, 1, 0, 2, 0))),
				"adapter": second(first(s.With(ctx, 1, 0, 0, 20))),
				"side":    second(first(s.With(ctx, 1, 2, 0, 0))),
			} {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("unknown %s: got %v, want ErrNotFound", what, err)
				}
			}
		})
	}
}

func first(seq func(func(string, error) bool)) (id string, err error) {
	seq(func(i string, e error) bool {
		id, err = i, e
		return false
	})
	return id, err
}

// TestIndexBehind opens files whose index a crash has left behind, or damaged.
func TestIndexBehind(t *testing.T) {
	for name, damage := range map[string]func(tx *bolt.Tx) error{
		"no mark":  func(tx *bolt.Tx) error { return tx.Bucket(bktMeta).Delete(keyIndex) },
		"bad mark": func(tx *bolt.Tx) error { return tx.Bucket(bktMeta).Put(keyIndex, []byte("?")) },
		"old mark": func(tx *bolt.Tx) error { return mark{commits: 1, bytes: 1}.write(tx) },
		"bad use":  func(tx *bolt.Tx) error { return tx.Bucket(bktIndex).Put(key32(1), []byte("?")) },
		"bad set": func(tx *bolt.Tx) error {
			return tx.Bucket(bktIndex).Put(setKey(1, bitmask.Up, 1, 7, 0), []byte("?"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRand(t)
			s := newStore(t, fast)
			twoBanks(t, s)
			churn(t, s, r, 200)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := bolt.Open(s.Path(), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(damage), db.Close()); err != nil {
				t.Fatal(err)
			}
			s, err = Open(s.Path(), fast)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { checkAndClose(t, s) })
			for _, err := range s.With(ctx, 1, bitmask.Up, 1, 7) {
				if err != nil && !(name == "bad set" && errors.Is(err, ErrCorrupt)) {
					t.Errorf("got %v", err)
				}
			}
			churn(t, s, r, 50)
			checkQueries(t, s, 1, 7)
			if err := s.FlushIndex(ctx); err != nil {
				t.Fatal(err)
			}
			if report, err := s.Check(ctx, true); err != nil || !report.Indexed {
				t.Errorf("got %+v, %v", report, err)
			}
		})
	}
}

// TestIndexRebuildUnderWrites distrusts the index again and again while
// profiles change.
func TestIndexRebuildUnderWrites(t *testing.T) {
	r := newRand(t)
	s := newStore(t, fast)
	twoBanks(t, s)
	done := make(chan struct{})
	stop, cancel := context.WithCancel(ctx)
	go func() {
		defer close(done)
		for stop.Err() == nil {
			s.distrustIndex()
			_ = s.FlushIndex(stop)
		}
	}()
	churn(t, s, r, 500)
	cancel()
	<-done
	checkQueries(t, s, 1, 0, 7, 19)
}

func TestIndexForgets(t *testing.T) {
	r := newRand(t)
	s := newStore(t, fast)
	if _, err := s.Put(ctx, randomProfile(r, "ann"), Write{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.FlushIndex(ctx), s.Delete(ctx, "ann"), s.FlushIndex(ctx)); err != nil {
		t.Fatal(err)
	}
	sets := 0
	err := s.view(func(tx *txn) error {
		return tx.Bucket(bktIndex).ForEach(func(k, _ []byte) error {
			if len(k) == setKeySize {
				sets++
			}
			return nil
		})
	})
	stats, serr := s.Stats()
	if sets != 0 || err != nil || serr != nil || stats.IndexBytes != 0 {
		t.Errorf("got %d sets, %d bytes, %v, want none", sets, stats.IndexBytes, errors.Join(err, serr))
	}
}
