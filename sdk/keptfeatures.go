package sdk

import (
	"context"
	"slices"
	"sync"

	"github.com/xpeft/xpeft/model"
)

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

// featuresOf is features of the texts that a bank is trained on: those that are kept are not passed
// forward again. Between some and the next, others get a turn.
func (p *Folder) featuresOf(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	d := p.axes.Dim()
	out, missing := make([]float32, len(texts)*d), []int(nil)
	for i := range texts {
		if copy(out[i*d:(i+1)*d], p.kept.get(textKey(&texts[i]))) == 0 {
			missing = append(missing, i)
		}
	}
	for some := range slices.Chunk(missing, passTexts) {
		part := make([]model.Encoding, len(some))
		for k, i := range some {
			part[k] = texts[i]
		}
		phi, err := p.features(ctx, part)
		if err != nil {
			return nil, err
		}
		for k, i := range some {
			copy(out[i*d:(i+1)*d], phi[k*d:(k+1)*d])
			p.kept.put(textKey(&texts[i]), phi[k*d:(k+1)*d])
		}
		if p.giveWay(ctx); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return out, nil
}
