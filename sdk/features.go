package sdk

import (
	"context"
	"fmt"
	"slices"
	"sync"

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
	return shared.rowsOf(texts, p.width(), func(missing []model.Encoding) ([]float32, error) {
		return p.pass(ctx, missing)
	})
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
	_, phi, err := p.embed(ctx, texts)
	return phi, err
}

// embed is the pooled embeddings of texts, [texts, d], and their φ, [texts, D].
func (p *Folder) embed(ctx context.Context, texts []model.Encoding) (x, phi []float32, err error) {
	x, phi = make([]float32, len(texts)*p.encoder.Hidden()), make([]float32, len(texts)*p.axes.Dim())
	if len(texts) == 0 {
		return x, phi, ctx.Err()
	}
	if err := p.engine.Embed(ctx, engine.Rows{Texts: texts}, nil, x, p.axes.Taps, phi); err != nil {
		return nil, nil, err
	}
	p.axes.Phi(phi[:0], phi)
	return x, phi, nil
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

const (
	// passTexts are passed forward before others get a turn.
	passTexts = 256
	// keptShare is the part of Options.CacheBytes that φ of texts may take: one in so many.
	keptShare = 4
)

// keptFeatures is φ of texts between an Advise, or a TrainBank that was cut off, and the TrainBank
// that wants them again. They are in memory alone: φ on disk would be one place more where a text
// that is forgotten has to be erased.
type keptFeatures struct {
	mu   sync.Mutex
	room int64 // bytes
	phi  map[uint64][]float32
	over bool // something was forgotten: nothing is kept until the next gathering
}

// gather begins a TrainBank's or an Advise's work.
func (k *keptFeatures) gather() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = false
}

// drop forgets all, when somebody asks to be forgotten or a TrainBank has ended.
func (k *keptFeatures) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.phi, k.over = nil, true
}

// get is nil of a text that is not there, and where nothing is kept, k being nil.
func (k *keptFeatures) get(key uint64) []float32 {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.phi[key]
}

// put keeps a copy, if there is room.
func (k *keptFeatures) put(key uint64, phi []float32) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.phi == nil {
		k.phi = map[uint64][]float32{}
	}
	if each := int64(8 + 4*len(phi)); !k.over && int64(len(k.phi)+1)*each <= k.room {
		k.phi[key] = slices.Clone(phi)
	}
}

// rowsOf are those of a width that compute makes of texts: once for twins, and not again where they
// are kept.
func (k *keptFeatures) rowsOf(texts []model.Encoding, width int,
	compute func([]model.Encoding) ([]float32, error)) ([]float32, error) {
	first, missing, at := map[uint64]int{}, []model.Encoding(nil), []int(nil)
	out, keys := make([]float32, len(texts)*width), make([]uint64, len(texts))
	row := func(i int) []float32 { return out[i*width : (i+1)*width] }
	for i := range texts {
		keys[i] = textKey(&texts[i])
		if _, twin := first[keys[i]]; !twin && copy(row(i), k.get(keys[i])) == 0 {
			first[keys[i]] = i
			missing, at = append(missing, texts[i]), append(at, i)
		}
	}
	computed, err := compute(missing)
	if err != nil {
		return nil, err
	}
	for n, i := range at {
		copy(row(i), computed[n*width:])
		k.put(keys[i], row(i))
	}
	for i, key := range keys {
		if of, ok := first[key]; ok && of != i {
			copy(row(i), row(of))
		}
	}
	return out, nil
}

// featuresOf is features of the texts that a bank is trained on: those that are kept are not passed
// forward again. Between some and the next, others get a turn.
func (p *Folder) featuresOf(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	kept, out := context.WithValue(ctx, sharedFeatures{}, &p.kept), make([]float32, 0, len(texts)*p.width())
	for some := range slices.Chunk(texts, passTexts) {
		phi, err := p.features(kept, some)
		if err != nil {
			return nil, err
		}
		out = append(out, phi...)
		if p.giveWay(ctx); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return out, nil
}
