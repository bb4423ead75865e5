package sdk

import (
	"context"
	"sync"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// forward answers tickets in one forward pass, of profiles over whatever banks. A profile that
// cannot be folded fails in its own answers only.
func (p *Folder) forward(tickets []*ticket) error {
	end := p.options.spans(tickets, "predict.forward")
	err := p.forwardBy(p.encoder.Answer, tickets)
	end(err)
	return err
}

// embedder is the passes on a CPU: in the precision that answers have, or in float32.
type embedder func(texts []model.Encoding, owner []int, adapters []*model.Adapter, x []float32, taps []int,
	states []float32) error

func (p *Folder) forwardBy(embed embedder, tickets []*ticket) error {
	ctx := context.Background() // a pass is many calls'
	entries, owner, err := p.pin(ctx, tickets)
	if err != nil {
		return err
	}
	defer p.unpin(entries)
	adapters := make([]*model.Adapter, len(entries))
	texts := make([]model.Encoding, len(tickets))
	for i, t := range tickets {
		texts[i] = t.request.text
		if e := entries[owner[i]]; e != nil && e.err != nil {
			t.answer = Prediction{Profile: t.request.profile, Err: e.err}
		} else if e != nil {
			adapters[owner[i]] = e.folded.adapter
		}
	}
	d, D := p.encoder.Hidden(), 0
	if p.axes != nil {
		D = p.axes.Dim()
	}
	memory := p.embeddings.take(len(tickets) * (d + D))
	defer p.embeddings.give(memory)
	x, states := memory[:len(tickets)*d], memory[len(tickets)*d:]
	if err := p.states(ctx, embed, texts, owner, adapters, x, states); err != nil {
		return err
	}
	if D > 0 {
		p.axes.Phi(states[:0], states)
	}
	for i, t := range tickets {
		if t.answer.Err != nil {
			continue
		}
		if s := t.request.sight; s != nil {
			copy(s.x, x[i*d:])
			copy(s.phi, states[i*D:(i+1)*D])
			continue
		}
		see, code := x[i*d:(i+1)*d], codeRows{}
		if p.seesFeatures(t.request.head) {
			see = states[i*D : (i+1)*D]
		}
		if e := entries[owner[i]]; e != nil {
			code = e.folded.codeRows
		}
		t.answer = t.request.answer(see, code)
		p.counters.predictions.Add(1)
	}
	return nil
}

// states is one forward pass: the pooled embeddings x [texts, d] and, unless it is empty, the
// states of the axes' blocks [texts, D], each text under its own adapter, or none.
func (p *Folder) states(ctx context.Context, embed embedder, texts []model.Encoding, owner []int,
	adapters []*model.Adapter, x, states []float32) error {
	var taps []int
	if len(states) > 0 {
		taps = p.axes.Taps
	}
	if p.onCPU() { // a lane is one thread, with those of idle ones
		return embed(texts, owner, adapters, x, taps, states)
	}
	return p.engine.Embed(ctx, engine.Rows{Texts: texts, Owner: owner}, adapters, x, taps, states)
}

// onCPU says that passes run on the lanes' own threads, without padding, and not on a device.
func (p *Folder) onCPU() bool { return p.engine.Device() == deviceCPU }

// pin gets the folded adapters of a batch, each once, and says which ticket uses which. A nil entry
// stands for those with nothing to fold. All must be unpinned.
func (p *Folder) pin(ctx context.Context, tickets []*ticket) (entries []*entry, owner []int, err error) {
	owner = make([]int, len(tickets))
	at := make(map[contentKey]int, len(tickets))
	base := -1
	var snaps []*snapshot
	for i, t := range tickets {
		if s := t.request.snapshot; s == nil || !s.folds() {
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
	end := p.options.spans(tickets, "predict.fold")
	err = p.fold(ctx, snaps, entries)
	if end(err); err != nil {
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
