package sdk

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// space is what heads of one kind see of a text: the pooled embedding of the bare encoder, of d
// values, or φ, of all the blocks that the folder's axes name.
type space struct {
	width int
	embed func(ctx context.Context, texts []model.Encoding) ([]float32, error) // [texts, width]
}

// pooled is the space of profiles that are masks, of own heads and of numbers.
func (p *SDK) pooled() space {
	return space{p.encoder.Hidden(), func(ctx context.Context, texts []model.Encoding) ([]float32, error) {
		examples := make([]learner.Example, len(texts))
		for i, t := range texts {
			examples[i].Text = t
		}
		return learner.Embed(ctx, p.env(nil), examples, nil)
	}}
}

// ofShared is the space of the head that new profiles share.
func (p *SDK) ofShared() space {
	if p.axes == nil {
		return p.pooled()
	}
	return space{p.axes.Dim(), p.features}
}

// space is the one that a head is over.
func (p *SDK) space(h *model.Head) space {
	if p.axes != nil && h.Hidden == p.axes.Dim() {
		return p.ofShared()
	}
	return p.pooled()
}

// checkSpace says whether the folder has what a head is over.
func (p *SDK) checkSpace(h *model.Head) error {
	if h.Hidden == p.encoder.Hidden() || p.axes != nil && h.Hidden == p.axes.Dim() {
		return nil
	}
	return fmt.Errorf("%w: a head over %d values, the model gives %d", ErrModelMismatch, h.Hidden, p.ofShared().width)
}

// encodings are the texts of examples.
func encodings(examples []learner.Example) []model.Encoding {
	out := make([]model.Encoding, len(examples))
	for i, e := range examples {
		out[i] = e.Text
	}
	return out
}

// features is φ of texts, [texts, D]. Cost: a forward pass of the bare encoder for each of them
// that is no other's twin, nor was there before in a call that shares them.
func (p *SDK) features(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	shared, _ := ctx.Value(sharedFeatures{}).(*keptFeatures)
	d, first, missing := p.axes.Dim(), map[uint64]int{}, []model.Encoding(nil)
	out, keys, at := make([]float32, len(texts)*d), make([]uint64, len(texts)), []int(nil)
	for i := range texts {
		keys[i] = textKey(&texts[i])
		if _, twin := first[keys[i]]; !twin && copy(out[i*d:(i+1)*d], shared.get(keys[i])) == 0 {
			first[keys[i]] = i
			missing, at = append(missing, texts[i]), append(at, i)
		}
	}
	phi, err := p.pass(ctx, missing)
	if err != nil {
		return nil, err
	}
	for k, i := range at {
		copy(out[i*d:(i+1)*d], phi[k*d:(k+1)*d])
		shared.put(keys[i], phi[k*d:(k+1)*d])
	}
	for i, key := range keys {
		if of, ok := first[key]; ok && of != i {
			copy(out[i*d:(i+1)*d], out[of*d:(of+1)*d])
		}
	}
	return out, nil
}

// sharedFeatures is where a context says which φ its call has already: of people who learn at once,
// many have the same texts.
type sharedFeatures struct{}

func (p *SDK) sharing(ctx context.Context) context.Context {
	return context.WithValue(ctx, sharedFeatures{}, &keptFeatures{room: p.kept.room})
}

// pass is φ of texts by a forward pass.
func (p *SDK) pass(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	phi, pooled := make([]float32, len(texts)*p.axes.Dim()), make([]float32, len(texts)*p.encoder.Hidden())
	if len(texts) == 0 {
		return phi, ctx.Err()
	}
	if err := p.engine.Embed(ctx, engine.Rows{Texts: texts}, nil, pooled, p.axes.Taps, phi); err != nil {
		return nil, err
	}
	p.axes.Features(phi[:0], phi)
	return phi, nil
}

// row is one of some pooled embeddings.
func (p *SDK) row(x []float32, i int) []float32 {
	d := p.encoder.Hidden()
	return x[i*d : (i+1)*d]
}
