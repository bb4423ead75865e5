package sdk

import (
	"context"
	"fmt"
	"sync"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// space is what heads of one kind see of a text: the pooled embedding of the bare encoder, of d values, or φ, of all the blocks that the folder's axes name.
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

// featureTokens is how many tokens one thread embeds between looks at ctx.
const featureTokens = 1024

// features is φ of texts, [texts, D], on Options.Threads threads. Cost: a forward pass of the bare encoder.
func (p *SDK) features(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	D := p.axes.Dim()
	out := make([]float32, len(texts)*D)
	var work sync.WaitGroup
	free, failed := make(chan struct{}, p.options.Threads), make(chan error, 1)
	for at, end := 0, 0; at < len(texts); at = end {
		for tokens := 0; end < len(texts) && (end == at || tokens < featureTokens); end++ {
			tokens += len(texts[end].IDs)
		}
		free <- struct{}{}
		work.Add(1)
		go func(some []model.Encoding, x []float32) {
			defer work.Done()
			defer func() { <-free }()
			if err := p.featuresOf(ctx, some, x); err != nil {
				select {
				case failed <- err:
				default: // the first one is enough
				}
			}
		}(texts[at:end], out[at*D:end*D])
	}
	work.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return out, nil
	}
}

// featuresOf is one pass of features.
func (p *SDK) featuresOf(ctx context.Context, texts []model.Encoding, x []float32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	pooled := make([]float32, len(texts)*p.encoder.Hidden())
	if err := p.states(ctx, texts, make([]int, len(texts)), bare, pooled, x); err != nil {
		return err
	}
	p.axes.Features(x[:0], x)
	return nil
}
