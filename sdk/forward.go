//go:build cgo

package sdk

import (
	"context"
	"sync"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// shape is what adapters must agree in to be joined in one batch. The zero value is that of a request without a profile, which joins any.
type shape struct {
	blocks      int
	bottleneck  int
	activation  bank.Activation
	normB, bias bool
}

// nobodys is the shape of requests without a profile.
var nobodys shape

func (r *request) shape() shape {
	if r.snapshot == nil {
		return nobodys
	}
	q := r.snapshot.bank.Properties()
	return shape{q.Blocks, q.Bottleneck, q.Activation, q.NormB, q.Bias}
}

// forward answers tickets of one shape in one forward pass. A profile whose adapter cannot be folded fails in its own answers only.
func (p *SDK) forward(tickets []*ticket) error {
	ctx := context.Background() // a pass is many calls'
	entries, owner, err := p.pin(ctx, tickets)
	if err != nil {
		return err
	}
	defer p.unpin(entries)
	folded := make([]*bank.Folded, len(entries))
	texts := make([]model.Encoding, len(tickets))
	for i, t := range tickets {
		texts[i] = t.request.text
		if e := entries[owner[i]]; e != nil {
			folded[owner[i]] = e.folded
			t.answer = Prediction{Profile: t.request.profile, Err: e.err}
		}
	}
	d := p.encoder.Hidden()
	x := p.embeddings.take(len(tickets) * d)
	defer p.embeddings.give(x)
	if p.packs() {
		each := make([]*model.EachAdapter, len(folded))
		for i, f := range folded {
			each[i] = f.Each()
		}
		err = p.encoder.EmbedEach(texts, owner, each, x, nil, nil)
	} else {
		err = p.embed(ctx, texts, owner, folded, x)
	}
	if err != nil {
		return err
	}
	for i, t := range tickets {
		if t.answer.Err == nil {
			t.answer = t.request.answer(x[i*d : (i+1)*d])
			p.counters.predictions.Add(1)
		}
	}
	return nil
}

// packs says whether forward answers texts without padding, on the CPU's kernels.
func (p *SDK) packs() bool { return !p.plain && p.encoder.CanEmbedEach() }

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

// pin gets the folded adapters of a batch, each once, and says which ticket uses which. A nil entry stands for those without a profile. All must be unpinned.
func (p *SDK) pin(ctx context.Context, tickets []*ticket) (entries []*entry, owner []int, err error) {
	owner = make([]int, len(tickets))
	at := make(map[contentKey]int, len(tickets))
	base := -1
	var snaps []*snapshot
	for i, t := range tickets {
		if t.request.snapshot == nil {
			if base < 0 {
				base = len(snaps)
				snaps = append(snaps, nil)
			}
			owner[i] = base
			continue
		}
		o, ok := at[t.request.snapshot.key]
		if !ok {
			o = len(snaps)
			at[t.request.snapshot.key] = o
			snaps = append(snaps, t.request.snapshot)
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

// buffers keep one slice for each forward pass that runs at once.
type buffers struct{ pool sync.Pool }

func (b *buffers) take(n int) []float32 {
	if x, ok := b.pool.Get().(*[]float32); ok && cap(*x) >= n {
		return (*x)[:n]
	}
	return make([]float32, n)
}

func (b *buffers) give(x []float32) { b.pool.Put(&x) }
