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
