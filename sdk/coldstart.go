//go:build cgo

package sdk

import (
	"context"
	"errors"

	"github.com/xpeft/xpeft/store"
)

// nearestTried is how many of the nearest profiles are looked at: by their losses where there are examples, else the first that is still there answers.
const nearestTried = 4

// serving is what answers for a profile: its own revision, what the fallback says, or nil for the base. The default bank and head stand in for those of a
// profile that does not exist; one that was only observed keeps its own. Cost beside the profile's own record, 5 µs: 2 µs for the population, 75 µs for the nearest
// (a pass over the label counts of mostSampled profiles, and the lender's record), and a census of 16 ms, for one request in 0.8 s at most (BenchmarkColdStart: 10,000
// profiles of 15 labels).
func (p *SDK) serving(ctx context.Context, id string, f Fallback) (*snapshot, Source, error) {
	own, err := p.snapshot(id)
	switch {
	case err == nil && (learned(own.record) || f == FallbackError || f == FallbackBase):
		return own, SourceProfile, nil
	case err != nil && (!errors.Is(err, ErrProfileNotFound) || f == FallbackError):
		return nil, "", err
	case f == FallbackBase:
		return nil, SourceBase, nil
	case own != nil:
		return p.standIn(ctx, own, bindingOf(own.record), own.record.Prior, f)
	}
	b, err := p.newcomers()
	if err != nil {
		return nil, "", err
	}
	return p.standIn(ctx, nil, b, nil, f)
}

// newcomers is the binding of new profiles.
func (p *SDK) newcomers() (b binding, err error) {
	if b.bank, err = p.defaultBank(); err == nil {
		_, b.head, err = p.shared()
	}
	return b, err
}

// standIn goes down from nearest by population to own, the profile as it was observed, or the base, nil.
func (p *SDK) standIn(ctx context.Context, own *snapshot, b binding, prior []uint32, f Fallback) (*snapshot, Source, error) {
	pop, err := p.population(ctx, false)
	if err != nil {
		return nil, "", err
	}
	if f == FallbackNearest && prior != nil {
		for _, id := range pop.nearest(b, prior, nearestTried) {
			if s := p.lend(id, b, prior); s != nil {
				return s, SourceNearest, nil
			}
		}
	}
	if u := pop.use[b.bank]; u != nil {
		s, err := p.open(&store.Profile{Bank: b.bank, Head: b.head, Mask: u.mask, Prior: prior})
		return s, SourcePopulation, err
	}
	if own != nil {
		return own, SourceProfile, nil
	}
	return nil, SourceBase, nil
}

// lend is a learned profile's mask and affine with another's prior: no bias, no id and no revision. Its record is read now, so that nothing is lent of a profile
// that is gone, moved or damaged: nil.
func (p *SDK) lend(id string, b binding, prior []uint32) *snapshot {
	rec, err := p.store.Get(id)
	if err != nil || !learned(rec) || bindingOf(rec) != b {
		return nil
	}
	if private, err := p.private(id); err != nil || private {
		return nil
	}
	s, err := p.open(&store.Profile{Bank: rec.Bank, Head: rec.Head, Mask: rec.Mask, Affine: rec.Affine, Prior: prior})
	if err == nil {
		_, err = s.affine()
	}
	if err != nil {
		return nil
	}
	return s
}
