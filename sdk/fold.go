package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/bank"
)

// fold acquires an entry for every snapshot: its own misses are folded together, then it waits for
// those that others fold. An adapter that cannot be folded is its entry's err; the error is ctx's.
func (p *Folder) fold(ctx context.Context, snaps []*snapshot, entries []*entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var mine, others []int
	for i, snap := range snaps {
		if snap == nil || !snap.folds() {
			continue
		}
		e, fresh := p.cache.acquire(snap.key)
		entries[i] = e
		if fresh {
			mine = append(mine, i)
		} else {
			others = append(others, i)
		}
	}
	p.foldMine(snaps, entries, mine)
	for _, i := range others {
		if err := entries[i].wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// foldMine folds the entries that this call was given, those of one bank in one pass, and fills
// every one of them whatever happens: others wait for them.
func (p *Folder) foldMine(snaps []*snapshot, entries []*entry, mine []int) {
	groups := map[*bank.Bank][]int{}
	for _, i := range mine {
		groups[snaps[i].bank] = append(groups[snaps[i].bank], i)
	}
	defer func() {
		for _, group := range groups { // what a panic left of them
			for _, i := range group {
				p.cache.fill(entries[i], nil, errFold)
			}
		}
	}()
	p.counters.folds.Add(int64(len(mine)))
	for b, group := range groups {
		of, rows := make([]*snapshot, len(group)), make([]codeRows, len(group))
		for n, i := range group {
			of[n], rows[n] = snaps[i], p.foldRows(snaps[i])
		}
		adapters, errs := foldAll(b, of)
		delete(groups, b)
		for n, i := range group {
			f := &folded{adapters[n], rows[n]}
			if errs[n] != nil {
				f = nil
			}
			p.cache.fill(entries[i], f, errs[n])
		}
	}
}

// errFold is what waiters get if folding ends in a panic.
var errFold = errors.New("sdk: the adapter was not folded")

func (p *Folder) unpin(entries []*entry) {
	for _, e := range entries {
		if e != nil {
			p.cache.release(e)
		}
	}
}

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
