package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// prefetchAtOnce is how many adapters are folded together: enough to share the reading of the bank,
// and soon done.
const prefetchAtOnce = 16

// Prefetch folds the digits, or the adapters, of profiles that will soon be asked for, so that
// their next Predict finds them, and keeps them as those that were used more than once. It takes as
// many as Options.CacheBytes holds, the first ones, and leaves the others out without an error. A
// profile that cannot be folded does not stop the others: the error joins one for each such id,
// ErrProfileNotFound or ErrID where it is that. When ctx ends the error is its own, and what was
// folded stays. Cost: about half a millisecond for each that is not cached, at N=150, k=50, L=6,
// d=384, on one worker; Predict goes on meanwhile.
func (p *Folder) Prefetch(ctx context.Context, ids ...string) error {
	leave, err := p.lifetime.enter()
	if err != nil {
		return err
	}
	defer leave()
	snaps, errs := p.prefetched(ctx, ids)
	for some := range slices.Chunk(snaps, prefetchAtOnce) {
		entries := make([]*entry, len(some))
		err := p.fold(ctx, some, entries)
		for i, e := range entries {
			if e == nil {
				continue
			}
			if p.cache.keep(e); err == nil && e.err != nil {
				errs = append(errs, prefetchError(some[i].record.ID, e.err))
			}
		}
		if p.unpin(entries); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// prefetched reads the profiles whose adapters fit into the cache together, and an error for each
// id that has none.
func (p *Folder) prefetched(ctx context.Context, ids []string) (snaps []*snapshot, errs []error) {
	room := p.cache.room()
	for _, id := range ids {
		if ctx.Err() != nil {
			return nil, nil
		}
		err := p.options.Limits.checkID(id)
		if err == nil {
			var snap *snapshot
			if snap, err = p.snapshot(id); err == nil {
				if room -= p.foldedBytes(snap); room < 0 {
					return snaps, errs
				}
				snaps = append(snaps, snap)
			}
		}
		if err != nil {
			errs = append(errs, prefetchError(id, err))
		}
	}
	return snaps, errs
}

func prefetchError(id string, err error) error { return fmt.Errorf("prefetch of %.64q: %w", id, err) }
