package sdk

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// counters only grow.
type counters struct {
	predictions, folds, learns atomic.Int64
}

// Stats of an open folder. Counts since Open subtract with Sub; the others are of now.
type Stats struct {
	Store       store.Stats `json:"store"`
	Cache       CacheStats  `json:"cache"`
	Passes      PassStats   `json:"passes"`
	Predictions int64       `json:"predictions"` // rows answered
	Folds       int64       `json:"folds"`
	Learns      int64       `json:"learns"`
	Engine      string      `json:"engine"` // native or torch
	Device      string      `json:"device"` // cpu or cuda
	// what computes the passes on a CPU: c-amx, c-avx512, c-avx2, go-avx2, go-neon or go
	Kernel string `json:"kernel"`
	// what the passes of Predict, Rank and Embed are computed in: float32, bfloat16, int16 or int8
	Precision string `json:"precision"`
	// Untrainable is how many profiles have adapters in more blocks than the engine trains, now.
	// They are served as ever; their next Learn trains the last of these blocks, or over another
	// bank, and is installed if it is no worse.
	Untrainable int64 `json:"untrainable"`
	// Prequential is over all profiles that learned, the last ten thousand examples or so.
	Prequential Prequential `json:"prequential"`
	// Bank is how the last TrainBank since Open ended, nil before.
	Bank *BankRun `json:"bank,omitempty"`
	// Advice is what was found last, nil before any.
	Advice *LastAdvice `json:"advice,omitempty"`
}

// Stats takes a snapshot of all counts.
func (p *Folder) Stats(ctx context.Context) (Stats, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return Stats{}, err
	}
	defer leave()
	st, err := p.store.Stats()
	if err != nil {
		return Stats{}, err
	}
	q, err := p.prequential()
	if err != nil {
		return Stats{}, err
	}
	advice, err := folder.LastAdvice[LastAdvice](p.store)
	if err != nil {
		return Stats{}, err
	}
	precision := "float32"
	if p.onCPU() {
		precision = p.encoder.Precision()
	}
	deep, err := p.untrainable.count(p, st.Revision)
	return Stats{Prequential: q, Bank: p.banker.told(), Advice: advice, Store: st, Cache: p.cache.snapshot(),
		Passes: p.scheduler.stats(), Predictions: p.counters.predictions.Load(), Folds: p.counters.folds.Load(),
		Learns: p.counters.learns.Load(), Engine: p.engine.Name(), Device: p.engine.Device(),
		Kernel: p.encoder.Kernel(), Precision: precision, Untrainable: deep}, err
}

// untrainable counts the profiles that the engine cannot train as they are, once for each state of
// the store.
type untrainable struct {
	mu       sync.Mutex
	revision uint64 // of the store, when it was counted
	n        int64
}

func (u *untrainable) count(p *Folder, revision uint64) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.revision == revision {
		return u.n, nil
	}
	n := int64(0)
	for _, err := range folder.Untrainable(p.store, p.dir, p.engine.Trains(), p.engine.TrainsLoRA()) {
		if err != nil {
			return 0, corrupt("banks", err)
		}
		n++
	}
	u.revision, u.n = revision, n
	return n, nil
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

// Waiting is how many examples no training has seen, and of how many profiles; one that is due
// because an example was taken back counts too. Cost: a look at those profiles' records.
func (p *Folder) Waiting(ctx context.Context) (examples, profiles int, err error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return 0, 0, err
	}
	defer leave()
	all, err := p.store.Waiting(ctx)
	for _, w := range all {
		examples += w.Examples
	}
	return examples, len(all), err
}
