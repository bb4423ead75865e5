package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/xpeft/xpeft/internal/rank"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// TrainRankOptions of a TrainRank. Nil, and every zero field, means the default.
type TrainRankOptions struct {
	MaxChoices    int  // of all profiles; default 20,000
	MaxPerProfile int  // the newest of a profile; default as of TrainHeadOptions
	Force         bool // install what was learned, whatever was measured
}

// RankReport says what a TrainRank did.
type RankReport struct {
	Installed bool       `json:"installed"`
	Reason    string     `json:"reason"`
	Profiles  int        `json:"profiles"` // whose choices it learned from
	Choices   int        `json:"choices"`
	Before    OrderScore `json:"before"` // of the order that all had, on people who were held out
	After     OrderScore `json:"after"`  // of one that was learned without them
	Seconds   float64    `json:"seconds"`
}

// TrainRank learns from the choices of many people (Chose) what people choose, whoever they are,
// and how much the nearness of a candidate to the text counts: the order that Rank gives who has
// chosen nothing yet, and that profiles' own rows are added to. A fifth of the people is held out;
// what was learned from the others is installed if it foretells their choices better than the
// order that all have now. Rows that profiles have stay, and are learned over the new order with
// the next choice. Private profiles are left out; a head learned from a profile keeps that when it
// is forgotten. ErrExample if fewer than five profiles have stored choices. Cost: a forward pass
// of each text, and some seconds.
func (p *Folder) TrainRank(ctx context.Context, o *TrainRankOptions) (*RankReport, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return nil, err
	}
	defer leave()
	if o == nil {
		o = &TrainRankOptions{}
	}
	t, err := newTeachers(o.MaxChoices, o.MaxPerProfile)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ctx, done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rep, err := p.trainRank(ctx, t, o.Force)
	if err != nil {
		return nil, err
	}
	rep.Seconds = time.Since(began).Seconds()
	p.options.Logger.Info("trained the order of candidates", "installed", rep.Installed, "before", rep.Before.Loss,
		"after", rep.After.Loss, "profiles", rep.Profiles, "choices", rep.Choices, "seconds", rep.Seconds)
	return rep, nil
}

const (
	fewestToRank = 5 // people: one of them is held out
	heldToRank   = 5 // one in so many is
)

// rankStrengths are the λ that are tried for the order that all have, the strongest first.
var rankStrengths = []float64{100, 30, 10, 3, 1, 0.3}

func (p *Folder) trainRank(ctx context.Context, t teachers, force bool) (*RankReport, error) {
	if p.axes == nil {
		return nil, errNoOrder
	}
	offers, whose, err := p.offersOfAll(ctx, t)
	if err != nil {
		return nil, err
	}
	rep := &RankReport{Choices: len(offers)}
	if rep.Profiles = len(whose); rep.Profiles < fewestToRank {
		return nil, fmt.Errorf("%w: %d profiles have stored choices, want %d or more", ErrExample, rep.Profiles,
			fewestToRank)
	}
	now, err := p.sharedOrder()
	if err != nil {
		return nil, err
	}
	seen, err := p.glimpses(ctx, offers, now)
	if err != nil {
		return nil, err
	}
	bare, served := choices(offers, seen, &order{similarity: similarity}), choices(offers, seen, now)
	var train, held, heldServed []rank.Choice
	for person, n := range whose {
		if person%heldToRank == 0 {
			held, heldServed = append(held, bare[:n]...), append(heldServed, served[:n]...)
		} else {
			train = append(train, bare[:n]...)
		}
		bare, served = bare[n:], served[n:]
	}
	z, err := p.fitOrder(ctx, train, held, rep)
	if err != nil {
		return nil, err
	}
	rep.Before = scoreOrder(heldServed, make([]float64, p.axes.Count()))
	if rep.Installed = force || rep.After.Loss < rep.Before.Loss; !rep.Installed {
		rep.Reason = "kept the old order: the new one's loss on people who were held out is no lower"
		return rep, nil
	}
	rep.Reason = "installed: people who were held out choose more as it says"
	return rep, p.putOrder(ctx, z)
}

// offersOfAll are the newest choices of profiles in the order of a hash of their ids, and how many
// each profile has of them.
func (p *Folder) offersOfAll(ctx context.Context, t teachers) (all []store.Example, whose []int, err error) {
	st, err := p.store.Stats()
	if err != nil {
		return nil, nil, err
	}
	each := t.perProfile(st.Profiles)
	for rec, err := range p.store.Shuffled() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		private, err := p.private(rec.ID)
		var examples []store.Example
		if err == nil && !private {
			examples, err = p.store.Examples(rec.ID)
		}
		if errors.Is(err, ErrProfileNotFound) {
			continue // forgotten meanwhile
		}
		if err != nil {
			return nil, nil, err
		}
		own := offers(examples)
		if own = own[max(0, len(own)-min(each, t.most-len(all))):]; len(own) > 0 {
			all, whose = append(all, own...), append(whose, len(own))
		}
	}
	return all, whose, nil
}

// fitOrder is the fit to all choices at the strength that held-out people's choices are foretold
// best by: the numbers on the axes, and how much more than similarity a cosine counts.
func (p *Folder) fitOrder(ctx context.Context, train, held []rank.Choice, rep *RankReport) ([]float64, error) {
	z, best := make([]float64, p.axes.Count()+1), 0.0
	rep.After.Loss = math.Inf(1)
	for _, lambda := range rankStrengths {
		if err := rank.Fit(ctx, train, lambda, z); err != nil {
			return nil, err
		}
		if score := scoreOrder(held, z); score.Loss < rep.After.Loss {
			rep.After, best = score, lambda
		}
	}
	clear(z)
	return z, rank.Fit(ctx, append(train, held...), best, z)
}

func scoreOrder(choices []rank.Choice, z []float64) OrderScore {
	var s rank.Score
	for i := range choices {
		s.Add(&choices[i], z, len(choices))
	}
	return orderScore(s, choices)
}

// putOrder stores what fitOrder found as a head of one output over φ.
func (p *Folder) putOrder(ctx context.Context, z []float64) error {
	D, A := p.axes.Dim(), p.axes.Count()
	h := &model.Head{Hidden: D, W: make([]float32, D), B: []float32{float32(similarity * (1 + z[A]))},
		Counts: make([]uint32, 1)}
	for j := range A {
		for k, v := range p.axes.V[j*D : (j+1)*D] {
			h.W[k] += float32(z[j]) * v
		}
	}
	data, err := h.MarshalBinary()
	if err != nil {
		return err
	}
	ref, _, err := p.store.PutHead(ctx, data)
	if err != nil {
		return err
	}
	return p.store.SetHeadName(ctx, orderHead, ref)
}
