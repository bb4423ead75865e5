package sdk

import (
	"context"
	"errors"

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
