package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

const (
	// mostTaught is the default of MaxExamples: what a training that all share takes.
	mostTaught = 20_000
	// fewestOfProfile is how many examples of one profile a training takes at least, if that is
	// no more than a hundredth of all: a mask, a prior and what is held back need several texts
	// to mean something, and more profiles than the budget has room for are sampled anyway.
	fewestOfProfile = 16
)

// teachers says whose examples a training that all share takes.
type teachers struct {
	most int // examples of all
	each int // examples of one profile, its newest; 0: an even share of most
	// own says that profiles with heads of their own teach too: of labels that are new to the
	// shared one.
	own bool
	// forget says that nothing of single texts is kept.
	forget bool
}

// newTeachers fills in the defaults, or says what cannot be.
func newTeachers(most, each int) (teachers, error) {
	var faults []string
	if most < 0 {
		faults = append(faults, fmt.Sprintf("MaxExamples is %d", most))
	}
	if each < 0 {
		faults = append(faults, fmt.Sprintf("MaxPerProfile is %d", each))
	}
	if faults != nil {
		return teachers{}, configError(faults)
	}
	return teachers{most: cmp.Or(most, mostTaught), each: each}, nil
}

// perProfile is how many examples one of so many profiles may give.
func (t teachers) perProfile(profiles int64) int {
	if t.each > 0 {
		return t.each
	}
	even := t.most / int(max(1, min(profiles, int64(t.most))))
	return max(even, min(fewestOfProfile, t.most/100))
}

// eachTeacher gives to take the stored examples of profiles that teach, and the most of them that
// it may use; take says how many it does, until that is t.most. The profiles come in the order of a
// hash of their ids: if there are more than the budget has room for, those that are taken are an
// even sample, whoever their tenants are, and the same one as long as the profiles are.
func (p *Folder) eachTeacher(ctx context.Context, t teachers,
	take func(id string, examples []store.Example, most int) (used int)) error {
	st, err := p.store.Stats()
	if err != nil {
		return err
	}
	each, left := t.perProfile(st.Profiles), t.most
	for rec, err := range p.store.Shuffled() {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if rec.Head == 0 && !t.own {
			continue
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
			return err
		}
		if left -= take(rec.ID, examples, min(each, left)); left <= 0 {
			break
		}
	}
	return nil
}

// sample is eachTeacher for the newest examples that fit a head, of profiles that have some.
func (p *Folder) sample(ctx context.Context, h *model.Head, t teachers,
	take func(id string, part split2) (used int)) error {
	return p.eachTeacher(ctx, t, func(id string, examples []store.Example, most int) int {
		examples = fitting(examples, h)
		if examples = examples[max(0, len(examples)-most):]; len(examples) == 0 {
			return 0
		}
		part := divide(p.encode(examples, h))
		part.stored = examples
		return take(id, part)
	})
}

// headData gathers what a shared head is trained and measured on.
func (p *Folder) headData(ctx context.Context, h *model.Head, t teachers) (all split2, profiles int, err error) {
	err = p.sample(ctx, h, t, func(_ string, part split2) int {
		profiles++
		all.train, all.held = append(all.train, part.train...), append(all.held, part.held...)
		return len(part.train) + len(part.held)
	})
	return all, profiles, err
}

// bankJob gathers what a bank is trained on: of the profiles that share a head what they train on,
// and of one in five what they hold back, to watch.
func (p *Folder) bankJob(ctx context.Context, t teachers) (j learner.BankJob, rep *BankReport, err error) {
	if j.Head, _, err = p.shared(); err != nil {
		return j, nil, err
	}
	rep = &BankReport{}
	err = p.sample(ctx, j.Head, t, func(_ string, part split2) int {
		prior := j.Head.Prior(count(part.train, j.Head), priorStrength)
		switch {
		case len(part.train) == 0:
			return 0
		case len(part.held) > 0 && (rep.Profiles+rep.Watched)%watchShare == watchShare-1:
			j.Watch = append(j.Watch, learner.BankProfile{Held: part.held, Prior: prior})
			rep.Watched++
			return len(part.held)
		}
		j.Profiles = append(j.Profiles, learner.BankProfile{Train: part.train, Prior: prior})
		rep.Profiles++
		rep.Examples += len(part.train)
		return len(part.train)
	})
	if err == nil && len(j.Profiles) < 2 {
		err = fmt.Errorf("%w: %d profiles with the shared head have stored any; a bank wants 2 or more", ErrExample,
			len(j.Profiles))
	}
	return j, rep, err
}
