package sdk

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// chooseHead decides where the profile's head starts: the shared one, frozen, or the profile's own.
func (l *learning) chooseHead(ctx context.Context) error {
	p := l.sdk
	shared, ref, err := p.shared()
	if err != nil {
		return err
	}
	switch l.kind() {
	case SharedHead:
		if l.old != nil && !l.old.own && !l.move { // a newer shared head does not change old profiles
			ref = l.old.record.Head
			if shared, err = p.head(ref); err != nil {
				return err
			}
		}
		l.headRef = ref
		if l.texts, err = p.textsBeside(ref); err != nil {
			return err
		}
		return l.addRows(ctx, shared)
	case NumberHead:
		l.head = l.numberHead()
		return nil
	}
	if l.head, err = l.ownHead(ctx, shared); err != nil {
		return err
	}
	return over("bytes of an own head", headBytes(l.head), "HeadBytes", p.options.Limits.HeadBytes)
}

// kind is the head that the profile is to have.
func (l *learning) kind() HeadKind {
	switch {
	case l.options.Head != "":
		return l.options.Head
	case l.old != nil:
		return l.old.kind()
	}
	return SharedHead
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

// ownHead starts from the shared head, or goes on with the profile's own. Labels that it does not
// have start from their names.
func (l *learning) ownHead(ctx context.Context, shared *model.Head) (*model.Head, error) {
	from, labels := shared, l.options.Labels
	if labels == nil {
		labels = shared.Labels
		if l.old != nil && !l.old.head.Regression() {
			labels = l.old.head.Labels
		}
	}
	if l.goesOn && !l.old.head.Regression() {
		from = l.old.head
	}
	labels = slices.Concat(labels, l.newLabels(labels))
	var faults []string
	if len(labels) < 2 {
		faults = append(faults, fmt.Sprintf("an own head of %d labels", len(labels)))
	}
	if err := l.sdk.checkOwnLabels(labels, faults); err != nil {
		return nil, err
	}
	if slices.Equal(labels, from.Labels) {
		return from, nil
	}
	return l.sdk.headLike(ctx, labels, from)
}

// addRows decides which labels the profile has beside the shared head: those that it had, and those
// that its examples bring if they may. Each has a row of the profile's own, which starts from the
// label's name; the shared rows stay as they are. One that joined the shared head is its own no
// more.
func (l *learning) addRows(ctx context.Context, shared *model.Head) error {
	labels, from := slices.Clone(shared.Labels), []*model.Head{shared}
	if l.old != nil && l.old.rows > 0 {
		if l.goesOn || l.digits && l.old.digits() { // whose rows are no more than names
			from = append(from, l.old.head)
		}
		for _, label := range l.old.head.Labels[l.old.shared():] {
			if _, ok := shared.Label(label); !ok && !l.takenBack(label) {
				labels = append(labels, label)
			}
		}
	}
	labels = append(labels, l.newLabels(labels)...)
	if l.rows = len(labels) - len(shared.Labels); l.rows == 0 {
		l.head = shared
		return nil
	}
	if err := l.sdk.checkOwnLabels(labels, nil); err != nil {
		return err
	}
	all, err := l.sdk.headLike(ctx, labels, from...)
	if err != nil {
		return err
	}
	own := all.Rows(len(shared.Labels))
	if err := over("bytes of an own head", headBytes(own), "HeadBytes", l.sdk.options.Limits.HeadBytes); err != nil {
		return err
	}
	l.head, err = shared.With(own)
	return err
}

// takenBack says whether the profile is learned anew and has no example of a label left: then its
// name goes too.
func (l *learning) takenBack(label string) bool {
	return l.person.Anew && !slices.ContainsFunc(l.stored, func(e store.Example) bool { return e.Label == label })
}

// newLabels are those that the profile brings from another folder beside some, and those that the
// examples bring, if they may.
func (l *learning) newLabels(known []string) (labels []string) {
	for _, label := range l.options.labels {
		if !slices.Contains(known, label) {
			labels = append(labels, label)
		}
	}
	if !l.options.AddLabels {
		return labels
	}
	for _, e := range l.sdk.store.Merged(l.id, l.stored, l.fresh) {
		if !folder.Reserved(e.Label) && !slices.Contains(known, e.Label) && !slices.Contains(labels, e.Label) {
			labels = append(labels, e.Label)
		}
	}
	return labels
}

// checkOwnLabels comes before each name is embedded.
func (p *Folder) checkOwnLabels(labels []string, faults []string) error {
	if err := over("labels of an own head", len(labels), "Labels", p.options.Limits.Labels); err != nil {
		return err
	}
	return configError(append(faults, labelFaults(labels)...))
}

// headLike is a head of some labels: those that others have continue their rows, the first that has
// it, the rest start from their names.
func (p *Folder) headLike(ctx context.Context, labels []string, from ...*model.Head) (h *model.Head, err error) {
	isNew := func(label string) bool {
		return !slices.ContainsFunc(from, func(f *model.Head) bool { _, ok := f.Label(label); return ok })
	}
	if slices.ContainsFunc(labels, isNew) {
		if h, _, err = p.headFromNames(ctx, labels); err != nil {
			return nil, err
		}
	} else { // no name has to be embedded
		C, d := len(labels), p.width()
		h = &model.Head{Labels: slices.Clone(labels), Hidden: d, W: make([]float32, C*d), B: make([]float32, C),
			Counts: make([]uint32, C)}
	}
	if f := from[0]; f.W1 != nil { // names say nothing in the space of its inner layer
		h.W1, h.B1 = slices.Clone(f.W1), slices.Clone(f.B1)
		clear(h.W)
	}
	for c, label := range labels {
		for _, f := range from {
			if o, ok := f.Label(label); ok {
				copy(h.W[c*h.Hidden:(c+1)*h.Hidden], f.W[o*h.Hidden:])
				h.B[c] = f.B[o]
				break
			}
		}
	}
	return h, nil
}

// numberHead starts at zero, or goes on with the profile's own.
func (l *learning) numberHead() *model.Head {
	if l.goesOn && l.old.kind() == NumberHead {
		return l.old.head
	}
	d := l.sdk.width()
	return &model.Head{Hidden: d, W: make([]float32, d), B: make([]float32, 1), Counts: make([]uint32, 1)}
}

// scaling brings a regressor's targets to mean 0 and deviation 1 for training, whatever their unit.
type scaling struct{ mean, std float32 }

// standardise measures the scaling of the training targets and returns the head in it. Other heads
// are left as they are.
func (l *learning) standardise(train []learner.Example) (*model.Head, scaling) {
	if !l.head.Regression() {
		return l.head, scaling{0, 1}
	}
	n, mean, sq := float64(max(1, len(train))), 0.0, 0.0
	for _, e := range train {
		mean += float64(e.Target) / n
	}
	for _, e := range train {
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
	if !l.goesOn || l.old.kind() != NumberHead { // a new one starts at the mean
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
