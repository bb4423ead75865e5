//go:build cgo

package sdk

import (
	"context"

	"github.com/xpeft/xpeft/learner"
)

// startTexts is how many of the newest training examples the nearest profiles are scored on: a forward pass each, however many there are.
const startTexts = 64

// start is where training begins: the profile's own logits, else its mask; for a new one what LearnOptions.Start says.
func (l *lesson) start(ctx context.Context) (st learner.Start, from Start, err error) {
	p, props := l.sdk, l.bank.Properties()
	if l.old == nil || !learned(l.old.record) || l.move || l.person.Anew { // new, only observed so far, over another bank, or with something taken back
		return l.newcomer(ctx)
	}
	if state, err := p.store.State(l.id); err == nil {
		st.Logits = decodeState(state, props.N, props.Blocks)
	}
	if st.Logits == nil {
		st.Logits = learner.FromMask(l.old.mask)
	}
	if l.headRef != 0 && l.old.bias != nil {
		st.Bias = make([]float32, len(l.head.Labels))
		for c, label := range l.old.head.Labels {
			if at, ok := l.head.Label(label); ok {
				st.Bias[at] = l.old.bias[c]
			}
		}
	}
	st.Affine, err = l.old.affine()
	return st, StartProfile, err
}

// newcomer goes down from nearest by population to fresh.
func (l *lesson) newcomer(ctx context.Context) (st learner.Start, from Start, err error) {
	if l.options.Start == StartFresh {
		return st, StartFresh, nil
	}
	pop, err := l.sdk.population(ctx, true)
	if err != nil {
		return st, "", err
	}
	if l.options.Start == StartNearest {
		near, err := l.nearest(ctx, pop)
		if err != nil {
			return st, "", err
		}
		if near != nil {
			st.Logits = learner.FromMask(near.mask)
			st.Affine, err = near.affine()
			return st, StartNearest, err
		}
	}
	if u := pop.use[l.bankRef]; u != nil {
		st.Logits, st.Spread = u.logits(l.config.K), true
		return st, StartPopulation, nil
	}
	return st, StartFresh, nil
}

// nearest is, of the profiles with the most alike label counts, the one that serves the new examples best; nil if there is none: counts under an own head say
// nothing of those under a shared one.
func (l *lesson) nearest(ctx context.Context, pop *population) (best *snapshot, err error) {
	if l.headRef == 0 {
		return nil, nil
	}
	b, counts := binding{l.bankRef, l.headRef}, l.counts(l.data.train)
	var near []*snapshot
	for _, id := range pop.nearest(b, counts, nearestTried+1) { // one more, as the profile itself may be among them
		if s := l.sdk.lend(id, b, nil); s != nil && id != l.id {
			near = append(near, s)
		}
	}
	if len(near) == 1 {
		return near[0], nil
	}
	texts, least := l.data.train[max(0, len(l.data.train)-startTexts):], 0.0
	for _, s := range near[:min(len(near), nearestTried)] {
		sc, err := l.scoreSnapshot(ctx, s, counts, texts)
		if err != nil {
			return nil, corrupt("bank", err)
		}
		if best == nil || sc.Loss < least {
			best, least = s, sc.Loss
		}
	}
	return best, nil
}
