package sdk

import "github.com/xpeft/xpeft/learner"

// begin is where a training of masks begins. From the examples that earlier trainings had it begins with nothing, so that no fold knows what it is asked about; where none of those is stored, with the
// profile's mask, which is all that is left of them.
func (l *lesson) begin() (st learner.Start, from Start, err error) {
	if !l.goesOn {
		return st, StartFresh, nil
	}
	st.Logits = learner.FromMask(l.old.mask)
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
