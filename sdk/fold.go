//go:build cgo

package sdk

import (
	"context"
	"errors"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
)

// fold acquires an entry for every snapshot: its own misses are folded in one visit to the engine, then it waits for those that others fold. A miss
// that another caller gave up is tried again. An adapter that cannot be folded is its entry's err; the error is ctx's, or of the engine.
func (p *SDK) fold(ctx context.Context, snaps []*snapshot, entries []*entry) error {
	for {
		var mine, others []int
		for i, snap := range snaps {
			if snap == nil || entries[i] != nil || !snap.folds() {
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
		if err := p.foldMine(ctx, snaps, entries, mine); err != nil {
			return err
		}
		again := false
		for _, i := range others {
			if err := entries[i].wait(ctx); err != nil {
				return err
			}
			if err := entries[i].err; errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				p.cache.release(entries[i])
				entries[i], again = nil, true
			}
		}
		if !again {
			return nil
		}
	}
}

// foldMine folds the entries that this call was given, those of one bank in one pass, and fills every one of them whatever happens: others wait for them.
func (p *SDK) foldMine(ctx context.Context, snaps []*snapshot, entries []*entry, mine []int) (err error) {
	if len(mine) == 0 {
		return nil
	}
	rows := make(map[int][][]float32, len(mine))
	groups := map[*bank.Bank][]int{}
	for _, i := range mine {
		groups[snaps[i].bank] = append(groups[snaps[i].bank], i)
	}
	err = errFold
	defer func() {
		for _, group := range groups { // what is left of them
			for _, i := range group {
				p.cache.fill(entries[i], nil, err)
			}
		}
	}()
	for _, i := range mine {
		rows[i] = p.foldRows(snaps[i])
	}
	p.counters.folds.Add(int64(len(mine)))
	for _, i := range groups[nil] { // no masks: nothing for the engine
		p.cache.fill(entries[i], &folded{rows: rows[i]}, nil)
	}
	if delete(groups, nil); len(groups) == 0 {
		return nil
	}
	err = p.engine.Do(ctx, func(s *torch.Scope) error {
		for b, group := range groups {
			var of []*snapshot
			for _, i := range group {
				of = append(of, snaps[i])
			}
			fs, errs := foldAll(s, b, of)
			for n, i := range group {
				p.cache.fill(entries[i], foldedOf(fs[n], rows[i]), errs[n])
			}
			delete(groups, b)
		}
		return nil
	})
	return err
}

// errFold is what waiters get if folding ends in a panic.
var errFold = errors.New("sdk: the adapter was not folded")

func (p *SDK) unpin(entries []*entry) {
	for _, e := range entries {
		if e != nil {
			p.cache.release(e)
		}
	}
}
