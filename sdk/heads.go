//go:build cgo

package sdk

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// chooseHead settles where the profile's head starts: the shared one, frozen, or the profile's own.
func (l *lesson) chooseHead(ctx context.Context) error {
	p, kind := l.sdk, l.options.Head
	if kind == "" {
		kind = SharedHead
		if l.old != nil {
			kind = l.old.kind()
		}
	}
	shared, ref, err := p.shared()
	if err != nil {
		return err
	}
	switch kind {
	case SharedHead:
		l.head, l.headRef = shared, ref
		if l.old != nil && !l.old.own && !l.move {
			l.head, l.headRef = l.old.head, l.old.record.Head // a newer shared head does not change old profiles
		}
		return nil
	case NumberHead:
		l.head = l.numberHead()
		return nil
	}
	if l.head, err = l.ownHead(ctx, shared); err != nil {
		return err
	}
	return over("bytes of an own head", headBytes(l.head), "HeadBytes", p.options.Limits.HeadBytes)
}

func (s *snapshot) kind() HeadKind {
	switch {
	case !s.own:
		return SharedHead
	case s.head.Regression():
		return NumberHead
	}
	return OwnHead
}

// ownHead continues the profile's own head, or starts from the shared one. Labels that neither has start from their names.
func (l *lesson) ownHead(ctx context.Context, shared *model.Head) (*model.Head, error) {
	from, labels := shared, l.options.Labels
	if l.old != nil && !l.old.head.Regression() {
		from = l.old.head
	}
	if labels == nil {
		labels = from.Labels
	}
	labels = slices.Clone(labels)
	if l.options.AddLabels {
		for _, e := range l.sdk.merged(l.id, l.stored, l.fresh) {
			if e.Label != "" && !slices.Contains(labels, e.Label) {
				labels = append(labels, e.Label)
			}
		}
	}
	faults := labelFaults(labels)
	if len(labels) < 2 {
		faults = append(faults, fmt.Sprintf("an own head of %d labels", len(labels)))
	}
	if err := over("labels of an own head", len(labels), "Labels", l.sdk.options.Limits.Labels); err != nil { // before each name is embedded
		return nil, err
	}
	if err := configError(faults); err != nil {
		return nil, err
	}
	if slices.Equal(labels, from.Labels) {
		return from, nil
	}
	return l.sdk.headLike(ctx, from, labels)
}

// headLike is a head of some labels: those that another has continue its rows, the others start from their names.
func (p *SDK) headLike(ctx context.Context, from *model.Head, labels []string) (*model.Head, error) {
	h, _, err := p.headFromNames(ctx, labels)
	if err != nil {
		return nil, err
	}
	if from.W1 != nil { // names say nothing in the space of its inner layer
		h.W1, h.B1 = slices.Clone(from.W1), slices.Clone(from.B1)
		clear(h.W)
	}
	for c, label := range labels {
		if o, ok := from.Label(label); ok {
			copy(h.W[c*h.Hidden:(c+1)*h.Hidden], from.W[o*h.Hidden:])
			h.B[c] = from.B[o]
		}
	}
	return h, nil
}

// numberHead continues the profile's own, or starts at zero.
func (l *lesson) numberHead() *model.Head {
	if l.old != nil && l.old.kind() == NumberHead {
		return l.old.head
	}
	d := l.sdk.encoder.Hidden()
	return &model.Head{Hidden: d, W: make([]float32, d), B: make([]float32, 1), Counts: make([]uint32, 1)}
}

// scaling brings a regressor's targets to mean 0 and deviation 1 for training, whatever their unit.
type scaling struct{ mean, std float32 }

// standardise measures the scaling of the training targets and returns the head in it. Other heads are left as they are.
func (l *lesson) standardise() (*model.Head, scaling) {
	if !l.head.Regression() {
		return l.head, scaling{0, 1}
	}
	n, mean, sq := float64(len(l.data.train)), 0.0, 0.0
	for _, e := range l.data.train {
		mean += float64(e.Target) / n
	}
	for _, e := range l.data.train {
		sq += (float64(e.Target) - mean) * (float64(e.Target) - mean) / n
	}
	s := scaling{float32(mean), 1}
	if std := math.Sqrt(sq); std > 1e-6*math.Abs(mean) && float32(std) > 0 {
		s.std = float32(std)
	}
	h := l.head.Clone()
	for i := range h.W {
		h.W[i] /= s.std
	}
	h.B[0] = (h.B[0] - s.mean) / s.std
	if l.old == nil || l.old.kind() != NumberHead { // a new one starts at the mean
		h.B[0] = 0
	}
	return h, s
}

func (s scaling) apply(examples []learner.Example) []learner.Example {
	if s == (scaling{0, 1}) {
		return examples
	}
	out := slices.Clone(examples)
	for i := range out {
		out[i].Target = (out[i].Target - s.mean) / s.std
	}
	return out
}

func (s scaling) undo(h *model.Head) *model.Head {
	h = h.Clone()
	if s == (scaling{0, 1}) {
		return h
	}
	for i := range h.W {
		h.W[i] *= s.std
	}
	h.B[0] = h.B[0]*s.std + s.mean
	return h
}
