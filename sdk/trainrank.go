package sdk

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
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
	Installed bool   `json:"installed"`
	Reason    string `json:"reason"`
	Profiles  int    `json:"profiles"` // whose choices it learned from
	Choices   int    `json:"choices"`
	// Directions is along how many directions people's own orders may differ from now on; 0: any.
	Directions int        `json:"directions"`
	Before     OrderScore `json:"before"` // of the order that all had, on people who were held out
	After      OrderScore `json:"after"`  // of one that was learned without them
	Seconds    float64    `json:"seconds"`
}

// TrainRank learns from the choices of many people (Chose) what people choose, whoever they are,
// and how much the nearness of a candidate to the text counts: the order that Rank gives who has
// chosen nothing yet, and that profiles' own rows are added to. A fifth of the people is held out;
// what was learned from the others is installed if it foretells their choices better than the
// order that all have now. With it come the directions along which people's own orders differ, as
// many as help people who were held out: rows are places on these from then on, and so a few
// choices say more. Rows that profiles have stay, and are learned over the new order with the next
// choice. Private profiles are left out; a head learned from a profile keeps that when it is
// forgotten. ErrExample if fewer than five profiles have stored choices. Cost: a forward pass of
// each text, and some seconds, with thousands of people a minute.
func (p *Folder) TrainRank(ctx context.Context, o *TrainRankOptions) (*RankReport, error) {
	leave, err := p.enterToWrite(p.exclusive("TrainRank"))
	if err != nil {
		return nil, err
	}
	defer leave()
	o = cmp.Or(o, &TrainRankOptions{})
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
	var c crowd
	var heldServed []rank.Choice
	for person, n := range whose {
		if person%heldToRank == 0 {
			c.held, heldServed = append(c.held, bare[:n]), append(heldServed, served[:n]...)
		} else {
			c.train = append(c.train, bare[:n])
		}
		bare, served = bare[n:], served[n:]
	}
	z, directions, err := p.fitOrder(ctx, c, rep)
	if err != nil {
		return nil, err
	}
	rep.Before = scoreOrder(heldServed, make([]float64, p.axes.Count()))
	if rep.Installed = force || rep.After.Loss < rep.Before.Loss; !rep.Installed {
		rep.Reason = "kept the old order: the new one's loss on people who were held out is no lower"
		return rep, nil
	}
	rep.Reason = "installed: people who were held out choose more as it says"
	if rep.After.Loss >= rep.Before.Loss {
		rep.Reason = "installed by force: the loss on people who were held out is no lower"
	}
	return rep, p.putOrder(ctx, z, directions)
}

// offersOfAll are the newest choices of profiles in the order of a hash of their ids, and how many
// each profile has of them.
func (p *Folder) offersOfAll(ctx context.Context, t teachers) (all []store.Example, whose []int, err error) {
	t.own = true
	err = p.eachTeacher(ctx, t, func(_ string, examples []store.Example, most int) int {
		own := offers(examples)
		if own = own[max(0, len(own)-most):]; len(own) > 0 {
			all, whose = append(all, own...), append(whose, len(own))
		}
		return len(own)
	})
	return all, whose, err
}

// crowd are the choices of people, those who are held out apart.
type crowd struct{ train, held [][]rank.Choice }

// fitOrder is the fit to all choices at the strength that held-out people's choices are foretold
// best by: the numbers on the axes, and how much more than similarity a cosine counts. With it come
// the directions along which people's own orders differ.
func (p *Folder) fitOrder(ctx context.Context, c crowd, rep *RankReport) (z []float64, directions [][]float64,
	err error) {
	train, held := slices.Concat(c.train...), slices.Concat(c.held...)
	z, first := make([]float64, p.axes.Count()+1), []float64(nil)
	best := 0.0
	rep.After.Loss = math.Inf(1)
	for _, lambda := range rankStrengths {
		if err := rank.Fit(ctx, train, lambda, z); err != nil {
			return nil, nil, err
		}
		if score := scoreOrder(held, z); score.Loss < rep.After.Loss {
			rep.After, best, first = score, lambda, slices.Clone(z)
		}
	}
	if rep.Directions, err = p.countDirections(ctx, c.over(first)); err != nil {
		return nil, nil, err
	}
	clear(z)
	if err := rank.Fit(ctx, slices.Concat(train, held), best, z); err != nil {
		return nil, nil, err
	}
	all := c.over(z)
	directions, err = rank.Directions(ctx, slices.Concat(all.train, all.held), p.axes.Count(), rep.Directions)
	return z, directions, err
}

// over are the same choices over an order that all have.
func (c crowd) over(z []float64) (out crowd) {
	for _, own := range c.train {
		out.train = append(out.train, rank.Over(own, z))
	}
	for _, own := range c.held {
		out.held = append(out.held, rank.Over(own, z))
	}
	return out
}

// mostDirections is how many are tried: 1, 2, 4 and so on up to it.
const mostDirections = 8

// countDirections is how many directions of the others' make what held-out people choose among half
// of their candidates tell most about the other half; 0: a number for each axis does.
func (p *Folder) countDirections(ctx context.Context, c crowd) (int, error) {
	A := p.axes.Count()
	all, err := rank.Directions(ctx, c.train, A, mostDirections)
	if err != nil {
		return 0, err
	}
	best, least := 0, math.Inf(1)
	for n := 0; n <= len(all); n = max(1, 2*n) {
		loss := 0.0
		for _, own := range c.held {
			halves := rank.Halves(own)
			for side, half := range halves {
				res, err := rank.Learn(ctx, half, A, p.axes.Digits, all[:n])
				if err != nil {
					return 0, err
				}
				z := rank.Values(res.Row, res.Scale, A, p.axes.Digits)
				for i := range halves[1-side] {
					l, _ := halves[1-side][i].Loss(z, nil)
					loss += l
				}
			}
		}
		if loss < least {
			best, least = n, loss
		}
	}
	return best, nil
}

func scoreOrder(choices []rank.Choice, z []float64) OrderScore {
	var s rank.Score
	for i := range choices {
		s.Add(&choices[i], z, len(choices))
	}
	return orderScore(s, choices)
}

// putOrder stores what fitOrder found as a head over φ.
func (p *Folder) putOrder(ctx context.Context, z []float64, directions [][]float64) error {
	D, A := p.axes.Dim(), p.axes.Count()
	rows := append([][]float64{z[:A]}, directions...)
	h := &model.Head{Hidden: D, W: make([]float32, len(rows)*D), B: make([]float32, len(rows)),
		Counts: make([]uint32, len(rows))}
	h.B[0] = float32(similarity * (1 + z[A]))
	for i, row := range rows {
		if len(directions) > 0 {
			h.Labels = append(h.Labels, orderHead+strings.Repeat("'", i))
		}
		for j, v := range row {
			for k, of := range p.axes.V[j*D : (j+1)*D] {
				h.W[i*D+k] += float32(v) * of
			}
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
