package sdk

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// What a head sees of a text is φ in a folder with axes, and the pooled embedding of the last block
// in one without. Records of earlier versions have heads over the pooled embedding in a folder with
// axes: they are answered so until their profile learns next.

// width is how many values a head sees.
func (p *Folder) width() int {
	if p.axes == nil {
		return p.encoder.Hidden()
	}
	return p.axes.Dim()
}

// checkWidth says whether the folder has what a head is over.
func (p *Folder) checkWidth(h *model.Head) error {
	if h.Hidden == p.encoder.Hidden() || h.Hidden == p.width() {
		return nil
	}
	return fmt.Errorf("%w: a head over %d values, the model gives %d", ErrMismatch, h.Hidden, p.width())
}

// encodings are the texts of examples.
func encodings(examples []learner.Example) []model.Encoding {
	out := make([]model.Encoding, len(examples))
	for i, e := range examples {
		out[i] = e.Text
	}
	return out
}

// features is what heads see of texts, [texts, width]. Cost: a forward pass of the bare encoder for
// each of them that is no other's twin, nor was there before in a call that shares them.
func (p *Folder) features(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	shared, _ := ctx.Value(sharedFeatures{}).(*keptFeatures)
	d, first, missing := p.width(), map[uint64]int{}, []model.Encoding(nil)
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

// sharedSights is where it says which embeddings and φ it has of texts that were chosen among.
type sharedSights struct{}

func (p *Folder) sharing(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, sharedSights{}, &keptFeatures{room: p.kept.room})
	return context.WithValue(ctx, sharedFeatures{}, &keptFeatures{room: p.kept.room})
}

// pass is features by a forward pass.
func (p *Folder) pass(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	if p.axes == nil {
		return p.pooled(ctx, texts)
	}
	phi, x := make([]float32, len(texts)*p.width()), make([]float32, len(texts)*p.encoder.Hidden())
	if len(texts) == 0 {
		return phi, ctx.Err()
	}
	if err := p.engine.Embed(ctx, engine.Rows{Texts: texts}, nil, x, p.axes.Taps, phi); err != nil {
		return nil, err
	}
	p.axes.Phi(phi[:0], phi)
	return phi, nil
}

// pooled is the pooled embeddings of texts, [texts, d].
func (p *Folder) pooled(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	x := make([]float32, len(texts)*p.encoder.Hidden())
	return x, p.engine.Embed(ctx, engine.Rows{Texts: texts}, nil, x, nil, nil)
}

// row is one of some pooled embeddings.
func (p *Folder) row(x []float32, i int) []float32 {
	d := p.encoder.Hidden()
	return x[i*d : (i+1)*d]
}
