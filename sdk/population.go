//go:build cgo

package sdk

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

const (
	// mostSampled is how many profiles the population is made of: all that have learned, or an even sample of so many.
	mostSampled = 4096
	// mostCells bounds the label counts of one bank and head, rows times labels: 4 MiB.
	mostCells = 1 << 20
	// populationStrength is how many profiles' worth of equal use the population's log-odds are smoothed with.
	populationStrength = 10
)

// population is what is known of the profiles that have learned: which adapters they use, and how their labels are spread. Newcomers start from it.
type population struct {
	use map[uint32]*use // by bank

	mu     sync.RWMutex // of labels: Forget takes rows out
	labels map[binding]*labelTable
}

// binding is what label counts must agree in to be compared, and a mask to be lent: the bank and the shared head.
type binding struct{ bank, head uint32 }

func bindingOf(rec *store.Profile) binding { return binding{rec.Bank, rec.Head} }

// takeCensus makes the population anew. A record that cannot be read is left to Check.
func (p *SDK) takeCensus(ctx context.Context) (*population, error) {
	pop := &population{use: map[uint32]*use{}, labels: map[binding]*labelTable{}}
	for rec, err := range p.store.Sample(mostSampled, store.Filter{Learned: true}) {
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrSchema):
			continue
		case err != nil:
			return nil, err
		}
		if !learned(rec) {
			continue
		}
		if private, err := p.private(rec.ID); err == nil && !private { // else it is forgotten meanwhile, or damaged
			pop.add(rec)
		}
	}
	for _, u := range pop.use {
		var err error
		if u.mask, err = u.logits(p.k).Mask(min(p.k, u.n)); err != nil {
			return nil, err
		}
	}
	return pop, nil
}

// learned tells a profile that was trained from one that was only observed.
func learned(rec *store.Profile) bool { return rec.Examples > 0 }

func (pop *population) add(rec *store.Profile) {
	u := pop.use[rec.Bank]
	if u == nil {
		u = &use{n: rec.Mask.N, blocks: rec.Mask.Blocks, counts: make([]uint32, 2*rec.Mask.Blocks*rec.Mask.N)}
		pop.use[rec.Bank] = u
	}
	u.add(rec.Mask)
	if rec.Head == 0 || rec.OwnHead != nil || len(rec.Prior) == 0 { // of the shared labels alone
		return
	}
	b := bindingOf(rec)
	t := pop.labels[b]
	if t == nil {
		t = &labelTable{labels: len(rec.Prior)}
		pop.labels[b] = t
	}
	t.add(rec.ID, rec.Prior)
}

// nearest lists the profiles of a binding with the most alike label counts, best first, at most so many; of equals the older. None that has no label in common.
func (pop *population) nearest(b binding, counts []uint32, most int) []string {
	pop.mu.RLock()
	defer pop.mu.RUnlock()
	t := pop.labels[b]
	if t == nil || len(counts) != t.labels {
		return nil
	}
	return t.nearest(counts, most)
}

// drop takes a profile's counts out.
func (pop *population) drop(id string) {
	pop.mu.Lock()
	defer pop.mu.Unlock()
	for _, t := range pop.labels {
		t.drop(id)
	}
}

// use counts how many profiles over a bank select each adapter, [2][L][N].
type use struct {
	n, blocks int
	profiles  int
	counts    []uint32
	mask      *bitmask.Mask // what the counts choose, with the store's k
	picked    []int32       // scratch
}

func (u *use) add(m *bitmask.Mask) {
	u.profiles++
	for row := range 2 * u.blocks {
		at := u.counts[row*u.n:]
		u.picked = m.Indices(bank.Side(row/u.blocks), row%u.blocks, u.picked[:0])
		for _, i := range u.picked {
			at[i]++
		}
	}
}

// logits are the log-odds of the adapters' use, less those of chance at k.
func (u *use) logits(k int) *learner.Logits {
	share := float64(min(k, u.n)) / float64(u.n)
	chance := math.Log(math.Max(share, 1e-3) / math.Max(1-share, 1e-3))
	g := learner.NewLogits(u.n, u.blocks)
	for i, c := range u.counts {
		by := (float64(c) + populationStrength*share) / (float64(u.profiles) + populationStrength)
		by = math.Min(math.Max(by, 1e-3), 1-1e-3)
		g.Values[i] = float32(math.Log(by/(1-by)) - chance)
	}
	return g
}

// labelTable has a row of label counts a profile, scaled to length 1. If there are so many labels that mostCells has no room for all rows, it keeps one row in
// two, in four and so on of those that come, so that they are an even sample too and not those that came first.
type labelTable struct {
	labels  int
	ids     []string
	rows    []float32
	seen    int // rows that came
	doubled int // one row in 1<<doubled is kept
}

func (t *labelTable) add(id string, counts []uint32) {
	if len(counts) != t.labels || t.labels > mostCells {
		return
	}
	row := unit(counts)
	if row == nil {
		return
	}
	n := t.seen
	t.seen++
	if len(t.rows)+t.labels > mostCells && t.keeps(n) {
		t.halve()
	}
	if t.keeps(n) {
		t.ids, t.rows = append(t.ids, id), append(t.rows, row...)
	}
}

// keeps tells whether the n-th row that came is one of those that are kept.
func (t *labelTable) keeps(n int) bool { return n&(1<<t.doubled-1) == 0 }

// halve leaves out every second row.
func (t *labelTable) halve() {
	t.doubled++
	n := 0
	for i := 0; i < len(t.ids); i += 2 {
		t.ids[n] = t.ids[i]
		copy(t.rows[n*t.labels:(n+1)*t.labels], t.rows[i*t.labels:])
		n++
	}
	clear(t.ids[n:])
	t.ids, t.rows = t.ids[:n], t.rows[:n*t.labels]
}

func (t *labelTable) drop(id string) {
	if i := slices.Index(t.ids, id); i >= 0 {
		t.ids = slices.Delete(t.ids, i, i+1)
		t.rows = slices.Delete(t.rows, i*t.labels, (i+1)*t.labels)
	}
}

func (t *labelTable) nearest(counts []uint32, most int) (ids []string) {
	q := unit(counts)
	if q == nil {
		return nil
	}
	var best []float32
	for i, id := range t.ids {
		cosine := float32(0)
		for c, x := range t.rows[i*t.labels : (i+1)*t.labels] {
			cosine += x * q[c]
		}
		if cosine <= 0 || len(best) == most && cosine <= best[most-1] {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1] < cosine {
			at--
		}
		best, ids = slices.Insert(best, at, cosine), slices.Insert(ids, at, id)
		best, ids = best[:min(len(best), most)], ids[:min(len(ids), most)]
	}
	return ids
}

// unit scales counts to length 1; nil if there are none.
func unit(counts []uint32) []float32 {
	sum := 0.0
	for _, n := range counts {
		sum += float64(n) * float64(n)
	}
	if sum == 0 {
		return nil
	}
	out := make([]float32, len(counts))
	for c, n := range counts {
		out[c] = float32(float64(n) / math.Sqrt(sum))
	}
	return out
}
