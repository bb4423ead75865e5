//go:build cgo

package sdk

import (
	"cmp"
	"context"
	"errors"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// shape is what adapters must agree in to be joined in one batch. The zero value, of a row without a profile, joins any.
type shape struct {
	bottleneck  int
	activation  bank.Activation
	normB, bias bool
}

func (r row) shape() shape {
	if r.snapshot == nil {
		return shape{}
	}
	q := r.snapshot.bank.Properties()
	return shape{q.Bottleneck, q.Activation, q.NormB, q.Bias}
}

func (s shape) compare(t shape) int {
	return cmp.Or(cmp.Compare(s.bottleneck, t.bottleneck), cmp.Compare(s.activation, t.activation), compareBool(s.normB, t.normB), compareBool(s.bias, t.bias))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (s shape) joins(t shape) bool { return s == t || s == shape{} || t == shape{} }

// forward answers rows of one shape in one forward pass.
func (p *SDK) forward(ctx context.Context, rows []row, out []Prediction) error {
	entries, owner, err := p.pin(ctx, rows)
	if err != nil {
		return err
	}
	defer p.unpin(entries)
	texts := make([]model.Encoding, len(rows))
	for i := range rows {
		texts[i] = rows[i].text
	}
	b, err := model.NewBatch(texts, p.tokenizer.PadID())
	if err != nil {
		return err
	}
	folded := make([]*bank.Folded, len(entries))
	for i, e := range entries {
		if e != nil {
			folded[i] = e.folded
		}
	}
	d := p.encoder.Hidden()
	x := make([]float32, len(rows)*d)
	err = p.engine.Do(ctx, func(s *torch.Scope) error {
		a, err := bank.Join(s, folded, owner)
		if err != nil {
			return err
		}
		return s.ReadFloat32s(p.encoder.Embed(s, b, a), x)
	})
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].answer(&out[rows[i].at], x[i*d:(i+1)*d])
	}
	return nil
}

// pin gets the folded adapters of a batch, each once, and says which row uses which. A nil entry stands for rows without a profile. All must be unpinned.
func (p *SDK) pin(ctx context.Context, rows []row) (entries []*entry, owner []int, err error) {
	owner = make([]int, len(rows))
	at := make(map[contentKey]int, len(rows))
	base := -1
	var snaps []*snapshot
	for i, r := range rows {
		if r.snapshot == nil {
			if base < 0 {
				base = len(snaps)
				snaps = append(snaps, nil)
			}
			owner[i] = base
			continue
		}
		o, ok := at[r.snapshot.key]
		if !ok {
			o = len(snaps)
			at[r.snapshot.key] = o
			snaps = append(snaps, r.snapshot)
		}
		owner[i] = o
	}
	entries = make([]*entry, len(snaps))
	if err := p.fold(ctx, snaps, entries); err != nil {
		p.unpin(entries)
		return nil, nil, err
	}
	return entries, owner, nil
}

// fold acquires an entry for every snapshot: its own misses are folded in one visit to the engine, then it waits for those that others fold. A miss
// that another caller gave up is tried again.
func (p *SDK) fold(ctx context.Context, snaps []*snapshot, entries []*entry) error {
	for {
		var mine, others []int
		for i, snap := range snaps {
			if snap == nil || entries[i] != nil {
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
			err := entries[i].wait(ctx)
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			p.cache.release(entries[i])
			entries[i], again = nil, true
		}
		if !again {
			return nil
		}
	}
}

// foldMine folds the entries that this call was given, and fills every one of them whatever happens: others wait for them.
func (p *SDK) foldMine(ctx context.Context, snaps []*snapshot, entries []*entry, mine []int) error {
	if len(mine) == 0 {
		return nil
	}
	done := 0
	err := p.engine.Do(ctx, func(s *torch.Scope) error {
		for _, i := range mine {
			snap := snaps[i]
			f, err := snap.bank.Fold(s, snap.mask, snap.affine)
			if err != nil {
				return err
			}
			p.cache.fill(entries[i], f, nil)
			done++
			p.counters.folds.Add(1)
		}
		return nil
	})
	for _, i := range mine[done:] {
		p.cache.fill(entries[i], nil, err)
	}
	return err
}

func (p *SDK) unpin(entries []*entry) {
	for _, e := range entries {
		if e != nil {
			p.cache.release(e)
		}
	}
}
