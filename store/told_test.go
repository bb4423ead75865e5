package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// TestGetTold writes to two profiles at random. A token that is known stands for the very examples
// that the profile has; what is not known is read, and what nobody has written to is known.
func TestGetTold(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	s := newStore(t, with(Options{NoSync: true, MaxExamples: 6, MasterKey: testKey}))
	type state struct {
		told     Told
		examples []Example
	}
	was := map[string][]state{}
	for i := range 600 {
		id := []string{"ann", "bob"}[r.IntN(2)]
		if err := writeAnyhow(r, s, id); err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		for _, other := range []string{"ann", "bob"} {
			now, err := s.Examples(other)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			for j, old := range append([]state{{}}, was[other]...) {
				_, told, err := s.GetTold(other, old.told.Token)
				if err != nil {
					t.Fatal(err)
				}
				if told.Known && (!sameTexts(old.examples, now) || len(now) == 0) ||
					!told.Known && !sameTexts(told.Examples, now) {
					t.Fatalf("write %d, to %s: got of %s known %t and %v, want %v; the token is of %v", i, id, other,
						told.Known, told.Examples, now, old.examples)
				}
				if newest := j > 0 && j == len(was[other]); newest && other != id && len(now) > 0 && !told.Known {
					t.Fatalf("write %d, to %s: %s is not known", i, id, other)
				}
			}
			_, told, err := s.GetTold(other, ExamplesToken{})
			if err != nil {
				t.Fatal(err)
			}
			if was[other] = append(was[other], state{told, now}); len(was[other]) > 8 {
				was[other] = was[other][1:]
			}
		}
	}
}

// writeAnyhow changes the examples of a profile, which may not be there, or nothing.
func writeAnyhow(r *rand.Rand, s *Store, id string) (err error) {
	long := time.UnixMicro(1)
	e := Example{Text: fmt.Sprint("text ", r.IntN(4)), Label: fmt.Sprint("label ", r.IntN(2)),
		Rejected: r.IntN(4) == 0, Time: long}
	switch r.IntN(10) {
	case 0:
		err = s.Delete(ctx, id)
	case 1:
		_, err = s.ForgetExample(ctx, id, textHash(e.Text, ""))
	case 2:
		err = s.Beside(ctx, id, Write{DropExamples: true})
	case 3:
		if r.IntN(10) == 0 {
			_, err = s.Compact(ctx)
		}
	case 4:
	default:
		p := randomProfile(r, id)
		p.Created = long // so that one that comes again looks as the one before did
		_, err = s.Put(ctx, p, Write{Append: []Example{e}})
	}
	return err
}

func sameTexts(a, b []Example) bool {
	return slices.EqualFunc(a, b, func(a, b Example) bool {
		return a.Sequence == b.Sequence && a.Key == b.Key && a.Label == b.Label && a.Rejected == b.Rejected
	})
}

// TestGetToldDamaged: a damaged example is an error, once it is read.
func TestGetToldDamaged(t *testing.T) {
	s := newStore(t, fast)
	if _, err := s.Put(ctx, randomProfile(rand.New(rand.NewPCG(1, 2)), "ann"),
		Write{Append: []Example{{Text: "a", Label: "b"}}}); err != nil {
		t.Fatal(err)
	}
	put := func(flip byte) {
		t.Helper()
		if err := s.writePages(func(tx *bolt.Tx) error {
			b := tx.Bucket(format.Examples)
			k, v := b.Cursor().First()
			v = slices.Clone(v)
			v[0] ^= flip
			return b.Put(slices.Clone(k), v)
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	if _, told, err := s.GetTold("ann", ExamplesToken{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %+v, %v, want %v", told, err, ErrCorrupt)
	}
	put(1)
}

// BenchmarkGetTold is Get, and the token of so many examples.
func BenchmarkGetTold(b *testing.B) {
	for _, n := range []int{0, 40, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newStore(b, fast)
			var es []Example
			for i := range n {
				es = append(es, Example{Text: fmt.Sprintf(
					"a message of some thirty words that somebody files under one of a few labels, as people do "+
						"with what they get from others all day long, number %d", i), Label: "later"})
			}
			if _, err := s.Put(ctx, randomProfile(rand.New(rand.NewPCG(1, 2)), "ann"), Write{Append: es}); err != nil {
				b.Fatal(err)
			}
			_, told, err := s.GetTold("ann", ExamplesToken{})
			if err != nil {
				b.Fatal(err)
			}
			told.Token.transaction-- // as if there had been a write
			b.ReportAllocs()
			for b.Loop() {
				if _, again, err := s.GetTold("ann", told.Token); err != nil || again.Known != (n > 0) {
					b.Fatal(err, again)
				}
			}
		})
	}
}
