package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/xpeft/xpeft/bitmask"
)

// With lists the ids of the profiles over a bank that select an adapter, in
// no particular order. It is exact: every candidate of the index is looked up
// before it is listed. It waits while the index is being rebuilt, and without
// an index reads every profile.
func (s *Store) With(ctx context.Context, bank uint32, side bitmask.Side, block, adapter int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.checkAdapter(bank, side, block, adapter); err != nil {
			yield("", err)
			return
		}
		selects := func(p *Profile) bool { return p.Bank == bank && p.Mask.Row(side, block).Get(adapter) }
		ok, err := s.index.await(ctx)
		if err != nil {
			yield("", err)
			return
		}
		if !ok {
			s.scanWith(ctx, selects, yield)
			return
		}
		numbers, err := s.candidates(bank, side, block, adapter)
		if err != nil {
			yield("", err)
			return
		}
		for page := range slices.Chunk(numbers, pageProfiles) {
			ids, err := s.idsOf(ctx, page, selects)
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			if err != nil {
				yield("", err)
				return
			}
		}
	}
}

func (s *Store) checkAdapter(bank uint32, side bitmask.Side, block, adapter int) error {
	info, err := s.Bank(bank)
	if err != nil {
		return err
	}
	if uint(side) > 1 || uint(block) >= uint(info.Blocks) || uint(adapter) >= uint(info.N) {
		return fmt.Errorf("%w: adapter %d, %v %d in bank %d of N=%d L=%d",
			ErrNotFound, adapter, side, block, bank, info.N, info.Blocks)
	}
	return nil
}

// scanWith is With without an index.
func (s *Store) scanWith(ctx context.Context, selects func(*Profile) bool, yield func(string, error) bool) {
	for p, err := range s.Profiles("") {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield("", err)
			return
		}
		if selects(p) && !yield(p.ID, nil) {
			return
		}
	}
}

// candidates returns the numbers that may select an adapter: those of the
// index, and those not written to it yet. The latter first: what is flushed
// in between is then in both, not in neither.
func (s *Store) candidates(bank uint32, side bitmask.Side, block, adapter int) (numbers []uint32, err error) {
	s.index.lock.Lock()
	if s.index.sets != nil {
		defer s.index.lock.Unlock()
		return s.index.numbers(bank, side, block, adapter), nil
	}
	for n, p := range s.index.pending {
		if m := p.current; m.mask != nil && m.bank == bank && m.mask.Row(side, block).Get(adapter) {
			numbers = append(numbers, n)
		}
	}
	s.index.lock.Unlock()
	err = s.view(func(t *txn) error {
		prefix := setKey(bank, side, block, adapter, 0)[:setKeySize-2]
		c := t.Bucket(bktIndex).Cursor()
		for k, v := c.Seek(prefix); hasPrefix(k, prefix); k, v = c.Next() {
			if numbers, err = setNumbers(numbers, k, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.index.distrust()
		return nil, err
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// idsOf returns the ids of those numbers whose profile is visible and wanted.
func (s *Store) idsOf(ctx context.Context, numbers []uint32, want func(*Profile) bool) (ids []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = s.view(func(t *txn) error {
		ids = nil
		for _, n := range numbers {
			if t.profiles.Get(key32(n)) == nil {
				continue // deleted since
			}
			p, err := t.decode(n)
			if err != nil {
				return fmt.Errorf("profile %d: %w", n, err)
			}
			if now, err := t.number([]byte(p.ID)); err == nil && now == n && want(p) {
				ids = append(ids, p.ID)
			}
		}
		return nil
	})
	return ids, err
}
