package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// namedFrom is how many people must have a label before it is named to others: what fewer call
// something may say who they are.
const namedFrom = 5

// PendingLabel is a label that profiles have taken up for themselves (LearnOptions.AddLabels, or
// Labels) and that the shared head does not have.
type PendingLabel struct {
	Label    string `json:"label"` // empty for fewer than 5 people
	People   int    `json:"people"`
	Examples int    `json:"examples"` // that their heads were trained on
}

// PendingLabels lists them, those of the most people first. None joins the shared head by itself:
// TrainHead takes those that it is told to (TrainHeadOptions.AddLabels). Private profiles are left
// out. Cost: a look at each profile's record.
func (p *Folder) PendingLabels(ctx context.Context) ([]PendingLabel, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	shared, _, err := p.shared()
	if err != nil {
		return nil, err
	}
	pending := map[string]*PendingLabel{}
	for rec, err := range p.store.Profiles("") {
		if err = cmp.Or(ctx.Err(), err); err != nil {
			return nil, err
		}
		if rec.OwnHead == nil {
			continue
		}
		if private, err := p.private(rec.ID); errors.Is(err, ErrProfileNotFound) || private {
			continue
		} else if err != nil {
			return nil, err
		}
		h, err := p.decodeHead(rec.OwnHead)
		if err != nil {
			return nil, fmt.Errorf("profile %q: %w", rec.ID, err)
		}
		for c, label := range h.Labels {
			if _, ok := shared.Label(label); ok {
				continue
			}
			l := pending[label]
			if l == nil {
				l = &PendingLabel{Label: label}
				pending[label] = l
			}
			l.People++
			l.Examples += int(h.Counts[c])
		}
	}
	out := make([]PendingLabel, 0, len(pending))
	for _, l := range pending {
		if l.People < namedFrom {
			l.Label = ""
		}
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b PendingLabel) int {
		return cmp.Or(cmp.Compare(b.People, a.People), cmp.Compare(b.Examples, a.Examples),
			cmp.Compare(a.Label, b.Label))
	})
	return out, nil
}

// withLabels is a head with more labels, which start from their names as in ownHead.
func (p *Folder) withLabels(ctx context.Context, h *model.Head, more []string) (*model.Head, error) {
	labels := slices.Clone(h.Labels)
	for _, l := range cleanLabels(more) {
		if _, ok := h.Label(l); !ok {
			labels = append(labels, l)
		}
	}
	if err := configError(labelFaults(labels)); err != nil {
		return nil, err
	}
	if len(labels) == len(h.Labels) {
		return h, nil
	}
	return p.headLike(ctx, labels, h)
}

// scoreOlder scores a head on held-out examples of one with more labels, of which it gets those
// wrong whose label it does not have.
func (p *Folder) scoreOlder(ctx context.Context, h *model.Head, texts *jointBank,
	held []learner.Example) (Score, error) {
	var known []learner.Example
	for _, e := range held {
		if e.Class < h.Outputs() {
			known = append(known, e)
		}
	}
	sc, err := p.scoreHead(ctx, h, texts, known)
	if missing := len(held) - len(known); missing > 0 {
		n := float64(len(held))
		sc.Accuracy = sc.Accuracy * float64(sc.N) / n
		sc.Loss = (sc.Loss*float64(sc.N) + digits.UnknownLoss*float64(missing)) / n
		sc.N = len(held)
	}
	return sc, err
}
