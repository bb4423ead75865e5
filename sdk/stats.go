package sdk

import (
	"sync/atomic"

	"github.com/xpeft/xpeft/store"
)

// counters only grow.
type counters struct {
	predictions, folds, learns atomic.Int64
}

// Stats of an open SDK. Counts since Open subtract with Sub; the others are of now.
type Stats struct {
	Store       store.Stats `json:"store"`
	Cache       CacheStats  `json:"cache"`
	Passes      PassStats   `json:"passes"`
	Predictions int64       `json:"predictions"` // rows answered
	Folds       int64       `json:"folds"`
	Learns      int64       `json:"learns"`
	Tensors     int64       `json:"tensors"` // libtorch handles in use, now
	Device      string      `json:"device"`
	// Prequential is over all profiles that learned, the last ten thousand examples or so.
	Prequential Prequential `json:"prequential"`
}

// Stats takes a snapshot of all counts.
func (p *SDK) Stats() (Stats, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return Stats{}, err
	}
	defer leave()
	st, err := p.store.Stats()
	if err != nil {
		return Stats{}, err
	}
	q, err := p.prequential()
	return Stats{Prequential: q, Store: st, Cache: p.cache.snapshot(), Passes: p.scheduler.stats(), Predictions: p.counters.predictions.Load(), Folds: p.counters.folds.Load(),
		Learns: p.counters.learns.Load(), Tensors: p.engine.Live(), Device: string(p.engine.Device())}, err
}

// Sub is what happened since an earlier snapshot.
func (a Stats) Sub(b Stats) Stats {
	a.Store = a.Store.Sub(b.Store)
	a.Cache.Hits -= b.Cache.Hits
	a.Cache.Misses -= b.Cache.Misses
	a.Cache.Evictions -= b.Cache.Evictions
	a.Passes.Passes -= b.Passes.Passes
	a.Passes.Texts -= b.Passes.Texts
	a.Passes.Tokens -= b.Passes.Tokens
	a.Passes.Padded -= b.Passes.Padded
	a.Predictions -= b.Predictions
	a.Folds -= b.Folds
	a.Learns -= b.Learns
	return a
}
