package sdk

import (
	"context"
	"reflect"
	"slices"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/rank"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// OrderReport is what a learning found in a profile's choices.
type OrderReport struct {
	Choices   int        `json:"choices"`   // learned from
	Installed bool       `json:"installed"` // the profile's own row orders candidates; false: the order that all have does
	Before    OrderScore `json:"before"`    // of the order that all have
	After     OrderScore `json:"after"`     // of the row, asked about choices that it was not learned from
}

// OrderScore says how choices are foretold.
type OrderScore struct {
	Loss  float64 `json:"loss"`  // mean −log of the probability of what was chosen
	First float64 `json:"first"` // share of the choices where that comes first
}

// offers are the choices among examples.
func offers(examples []store.Example) (out []store.Example) {
	for _, e := range examples {
		if _, _, ok := folder.ReadChoice(e); ok {
			out = append(out, e)
		}
	}
	return out
}

// learnOrder learns the row that orders candidates anew, if there is a choice that no training has
// seen or one was taken back; else it stays.
func (l *learning) learnOrder(ctx context.Context) error {
	p, due := l.sdk, l.old == nil || l.person.Anew || l.move
	if !due {
		l.order = l.old.order
	}
	for _, e := range l.offers {
		due = due || !e.Known
	}
	if !due || p.axes == nil || len(l.offers) == 0 {
		return nil
	}
	base, err := p.sharedOrder()
	if err != nil {
		return err
	}
	seen, err := p.glimpses(ctx, l.offers, base)
	if err != nil {
		return err
	}
	all := choices(l.offers, seen, base)
	res, err := rank.Learn(ctx, all, p.axes.Count(), p.axes.Digits, base.directions)
	if err != nil {
		return err
	}
	l.ordered = &OrderReport{Choices: len(all), Installed: res.Row != nil, Before: orderScore(res.Before, all),
		After: orderScore(res.After, all)}
	l.order = nil
	if res.Row != nil {
		l.order = &store.Code{Bank: p.axes.ref, K: p.axes.K(), Labels: []uint32{folder.RankLabel}, Rows: res.Row,
			Scales: []byte{res.Scale}}
	}
	return nil
}

func orderScore(s rank.Score, of []rank.Choice) OrderScore {
	return OrderScore{Loss: s.Loss, First: float64(s.Right) / float64(len(of))}
}

// glimpse is what learning needs of a text.
type glimpse struct {
	x    []float32 // its pooled embedding
	p    []float64 // φ on the axes
	base float64   // what it scores in the order that all have, whatever it is for
}

// choices are those of some offers as the axes and an order that all have see them.
func choices(offers []store.Example, seen map[string]glimpse, base *order) []rank.Choice {
	out := make([]rank.Choice, len(offers))
	for i, e := range offers {
		candidates, chosen, _ := folder.ReadChoice(e)
		for k, text := range candidates {
			g := seen[text]
			score := base.score(sight{x: seen[e.Text].x}, sight{x: g.x})
			if base.w != nil {
				score += g.base
			}
			out[i].Rows, out[i].Base = append(out[i].Rows, g.p), append(out[i].Base, score)
			if text == chosen {
				out[i].Chosen = k
			}
		}
	}
	return out
}

// glimpses are those of all texts of some offers; an empty text has none. Cost: a forward pass of
// each.
func (p *Folder) glimpses(ctx context.Context, offers []store.Example, base *order) (map[string]glimpse, error) {
	seen, texts := map[string]glimpse{}, []string(nil)
	for _, e := range offers {
		candidates, _, _ := folder.ReadChoice(e)
		for _, text := range append(candidates, e.Text) {
			if _, twice := seen[text]; !twice && text != "" {
				seen[text] = glimpse{}
				texts = append(texts, text)
			}
		}
	}
	for some := range slices.Chunk(texts, passTexts) {
		got, err := p.sights(ctx, p.encodeTexts(some))
		if err != nil {
			return nil, err
		}
		for i, text := range some {
			seen[text] = glimpse{got[i].x, numeric.Widen(p.axes.Project(nil, got[i].phi)),
				base.score(sight{}, got[i])}
		}
		if p.giveWay(ctx); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return seen, nil
}

// sights is see for learning: in float32, on all threads that it may have. People who learn at once
// have many texts in common: one that was there before in their call is not passed forward again.
func (p *Folder) sights(ctx context.Context, texts []model.Encoding) ([]sight, error) {
	shared, _ := ctx.Value(sharedSights{}).(*keptFeatures)
	d, D := p.encoder.Hidden(), p.axes.Dim()
	both, err := shared.rowsOf(texts, d+D, func(texts []model.Encoding) ([]float32, error) {
		x, phi, err := p.embed(ctx, texts)
		var rows []float32
		for i := range texts {
			rows = append(append(rows, x[i*d:(i+1)*d]...), phi[i*D:(i+1)*D]...)
		}
		return rows, err
	})
	if err != nil {
		return nil, err
	}
	out := make([]sight, len(texts))
	for i := range out {
		row := both[i*(d+D) : (i+1)*(d+D)]
		out[i] = sight{row[:d], row[d:]}
	}
	return out, nil
}

// onlyOrder says whether there is nothing to learn from but choices.
func (l *learning) onlyOrder() bool { return len(l.examples) == 0 }

// endOrder stores what was learned from choices alone: what Predict answers stays as it is, but for
// a profile that is learned anew, of which nothing else is left.
func (l *learning) endOrder(ctx context.Context) (*Report, error) {
	p, rep := l.sdk, &Report{Profile: l.id, Start: StartFresh, Order: l.ordered}
	anew := l.old == nil || l.person.Anew
	rec, err := p.untrained(l.id)
	if err != nil {
		return nil, err
	}
	if !anew {
		was := *l.old.record
		rec = &was
		rec.Codes = l.old.codes
	}
	rep.Installed, rep.Reason = true, "installed: what the profile's choices say"
	if !anew && reflect.DeepEqual(l.order, l.old.order) {
		rep.Installed, rep.Reason = false, "kept the old revision: the profile's choices say nothing new"
	} else if l.order == nil {
		rep.Reason = "installed: the order that all have, as none that was learned is better out of fold"
	}
	w := store.Write{IfRevision: new(uint64), Learned: l.through, DropHistory: l.person.Anew, DropState: l.person.Anew,
		Append: l.seen(), Person: func(person *store.Person) { person.Anew = false }}
	if l.old != nil {
		*w.IfRevision = l.old.revision
	}
	rec.Codes = joinCodes(rec.Codes, l.order)
	if rep.Installed {
		_, err = p.store.Put(ctx, rec, w)
	} else {
		err = p.store.Beside(ctx, l.id, w)
	}
	if err != nil {
		return nil, err
	}
	return rep, l.installed(rep)
}

// reordered is a record with the row that orders candidates, and whether that is another than it
// was.
func (l *learning) reordered(rec *store.Profile, labels []store.Code) (with *store.Profile, changed bool) {
	out := *rec
	out.Codes = joinCodes(labels, l.order)
	return &out, l.old != nil && !reflect.DeepEqual(l.order, l.old.order)
}

// checkFresh says which of the examples that were given now no head of the profile's can learn;
// those that another folder has stored may be of labels that the profile had once.
func (l *learning) checkFresh() error {
	for i, e := range l.fresh[:len(l.fresh)-len(l.options.fresh)] {
		if err := l.sdk.takes(e, l.head); err != nil {
			return ofExample(l.id, i, e.Label, err)
		}
	}
	return nil
}
