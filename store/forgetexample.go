package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// ForgetExample erases the examples of one text from a profile, with all that
// was learned from them but the revision that is served: its state and its
// history. The profile is due and is learned anew: Person.Anew. It returns how
// many examples there were, and is ErrNotFound if there was none. With encryption all
// that stays of the profile gets a new key, and the old one is overwritten
// before it returns.
func (s *Store) ForgetExample(ctx context.Context, id string, key uint64) (forgotten int, err error) {
	err = s.writeOwned(ctx, id, func(w *writeTx, n uint32) error {
		forgotten = 0
		sh, err := w.shelf(n)
		if err != nil {
			return err
		}
		sh.keep(slices.DeleteFunc(sh.all(), func(e Example) bool {
			if e.Key == key {
				forgotten++
			}
			return e.Key == key
		}))
		if forgotten == 0 {
			return fmt.Errorf("%w: no example of that text", ErrNotFound)
		}
		sh.person.Anew = true
		if err := cmp.Or(w.putState(n, nil), w.putShelf(n, sh)); err != nil {
			return err
		}
		_, err = w.dropHistory(id, n)
		return err
	})
	return forgotten, err
}

// rekey moves a profile without history to a new number, which it returns, and
// which has a new key; the old one is freed.
func (w *writeTx) rekey(idKey []byte, n uint32) (uint32, error) {
	p, err := w.decode(n)
	if err != nil {
		return 0, err
	}
	sh, err := w.shelf(n)
	if err != nil {
		return 0, err
	}
	state, err := w.state(n)
	if err != nil {
		return 0, err
	}
	if err := w.evict(idKey, n); err != nil {
		return 0, err
	}
	moved := *p
	if moved.Number, err = w.newNumber(); err != nil {
		return 0, err
	}
	sh.stored = nil
	return moved.Number, cmp.Or(w.store(&moved, nil), w.putState(moved.Number, state), w.putShelf(moved.Number, sh))
}

// Expire erases the examples over Options.MaxAge of all profiles whose id
// starts with prefix, each profile in a transaction of its own, and returns
// their number.
func (s *Store) Expire(ctx context.Context, prefix string) (erased int, err error) {
	if s.opts.MaxAge == 0 {
		return 0, nil
	}
	for p, err := range s.Profiles(prefix) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return erased, err
		}
		n, err := s.expire(ctx, p.ID)
		if err != nil {
			return erased, fmt.Errorf("profile %q: %w", p.ID, err)
		}
		erased += n
	}
	return erased, nil
}

func (s *Store) expire(ctx context.Context, id string) (erased int, err error) {
	old, err := viewedOf(s, id, func(t *txn, n uint32) (old bool, err error) {
		for e, err := range t.eachExample(n) {
			if err != nil {
				return false, err
			}
			old = old || s.opts.expired(e.Example)
		}
		return old, nil
	})
	if err != nil || !old {
		return 0, err
	}
	err = s.writeOwned(ctx, id, func(w *writeTx, n uint32) error {
		before := w.tally.Examples
		sh, err := w.shelf(n)
		if err == nil {
			err = w.putShelf(n, sh)
		}
		erased = int(before - w.tally.Examples)
		return err
	})
	return erased, err
}
