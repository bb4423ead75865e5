package sdk

import (
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// start is where training begins: the profile's own logits, else its mask; fresh for one that is
// new, only observed so far, over another bank, or with something taken back.
func (l *lesson) start() (st learner.Start, from Start, err error) {
	if l.old == nil || !learned(l.old.record) || l.move || l.person.Anew {
		return st, StartFresh, nil
	}
	props := l.bank.Properties()
	if state, err := l.sdk.store.State(l.id); err == nil {
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

// learned tells a profile that was trained from one that was only observed.
func learned(rec *store.Profile) bool { return rec.Examples > 0 }
