//go:build cgo

package sdk

import (
	"context"
	"errors"
	"sync"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// shape is what adapters must agree in to be joined in one batch. The zero value is that of a row without a profile, which joins any.
type shape struct {
	blocks      int
	bottleneck  int
	activation  bank.Activation
	normB, bias bool
}

// nobodys is the shape of rows without a profile.
var nobodys shape

func (r *row) shape() shape {
	if r.snapshot == nil {
		return nobodys
	}
	q := r.snapshot.bank.Properties()
	return shape{q.Blocks, q.Bottleneck, q.Activation, q.NormB, q.Bias}
}

// forward answers rows of one shape in one forward pass. A profile whose adapter cannot be folded fails in its own rows only.
func (p *SDK) forward(rows []*row) error {
	ctx := context.Background() // a pass is many calls'
	entries, owner, err := p.pin(ctx, rows)
	if err != nil {
		return err
	}
	defer p.unpin(entries)
	folded := make([]*bank.Folded, len(entries))
	texts := make([]model.Encoding, len(rows))
	for i, r := range rows {
		texts[i] = r.text
		if e := entries[owner[i]]; e != nil {
			folded[owner[i]] = e.folded
			r.answered.Err = e.err
		}
	}
	d := p.encoder.Hidden()
	x := p.embeddings.take(len(rows) * d)
	defer p.embeddings.give(x)
	if !p.plain && p.encoder.CanEmbedEach() {
		each := make([]*model.EachAdapter, len(folded))
		for i, f := range folded {
			each[i] = f.Each()
		}
		err = p.encoder.EmbedEach(texts, owner, each, x)
	} else {
		err = p.embed(ctx, texts, owner, folded, x)
	}
	if err != nil {
		return err
	}
	for i, r := range rows {
		if r.answered.Err == nil {
			r.answer(x[i*d : (i+1)*d])
			p.counters.predictions.Add(1)
		}
	}
	return nil
}

// embed is EmbedEach through libtorch: on a GPU, and on CPUs that it has no kernels for.
func (p *SDK) embed(ctx context.Context, texts []model.Encoding, owner []int, folded []*bank.Folded, x []float32) error {
	b, err := model.NewBatch(texts, p.tokenizer.PadID())
	if err != nil {
		return err
	}
	return p.engine.Do(ctx, func(s *torch.Scope) error {
		a, err := bank.Join(s, folded, owner)
		if err != nil {
			return err
		}
		return s.ReadFloat32s(p.encoder.Embed(s, b, a), x)
	})
}

// pin gets the folded adapters of a batch, each once, and says which row uses which. A nil entry stands for rows without a profile. All must be unpinned.
func (p *SDK) pin(ctx context.Context, rows []*row) (entries []*entry, owner []int, err error) {
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
// that another caller gave up is tried again. An adapter that cannot be folded is its entry's err; the error is ctx's, or of the engine.
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

// foldMine folds the entries that this call was given, and fills every one of them whatever happens: others wait for them.
func (p *SDK) foldMine(ctx context.Context, snaps []*snapshot, entries []*entry, mine []int) (err error) {
	if len(mine) == 0 {
		return nil
	}
	done := 0
	err = errFold
	defer func() {
		for _, i := range mine[done:] {
			p.cache.fill(entries[i], nil, err)
		}
	}()
	err = p.engine.Do(ctx, func(s *torch.Scope) error {
		for _, i := range mine {
			f, err := snaps[i].fold(s)
			p.cache.fill(entries[i], f, err)
			done++
			p.counters.folds.Add(1)
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

// buffers keep one slice for each forward pass that runs at once.
type buffers struct{ pool sync.Pool }

func (b *buffers) take(n int) []float32 {
	if x, ok := b.pool.Get().(*[]float32); ok && cap(*x) >= n {
		return (*x)[:n]
	}
	return make([]float32, n)
}

func (b *buffers) give(x []float32) { b.pool.Put(&x) }
