package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Advice is what a TrainBank would do now, and a TrainHead.
type Advice struct {
	Worth       bool              `json:"worth"`       // it would install axes
	Reason      string            `json:"reason"`      // in words
	Population  *PopulationReport `json:"population"`  // by cross-validation over the folder's own people
	Head        *HeadAdvice       `json:"head"`        // of a TrainHead; nil: there are fewer than two people
	Prequential Prequential       `json:"prequential"` // how often what is served now was right before it had learned
	Seconds     float64           `json:"seconds"`
}

// fewestPeople is how many people axes were found among at all, where people differ much.
const fewestPeople = 10

// Advise says what a TrainBank with these options would find in a folder of digits, and whether it
// would install it, or about how many people more it would take; and what a TrainHead would gain.
// It changes nothing but Stats.Advice. Cost: that of a TrainBank, some seconds for a hundred people
// and a forward pass of each of their texts; Learn waits for one fit of it, Predict does not wait.
// ErrNoPopulation in a folder of masks.
func (p *Folder) Advise(ctx context.Context, o *TrainBankOptions) (*Advice, error) {
	leave, err := p.lifetime.enter(p.exclusive("Advise"))
	if err != nil {
		return nil, err
	}
	defer leave()
	began := time.Now()
	digits, err := p.newcomersDigits()
	if err != nil {
		return nil, err
	}
	if !digits {
		return nil, fmt.Errorf("%w: a folder of masks has no axes of its people", ErrNoPopulation)
	}
	o = cmp.Or(o, &TrainBankOptions{})
	from, err := o.teachers()
	if err != nil {
		return nil, err
	}
	ctx, done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	q, err := p.prequential()
	if err != nil {
		return nil, err
	}
	h, found, rep, err := p.findJoint(ctx, from, o.Progress, p.options.Threads, nil)
	if errors.Is(err, ErrExample) { // fewer than two
		rep, err = &BankReport{Reason: fmt.Sprintf(
			"fewer than two people have stored examples; axes were found among %d at least", fewestPeople),
			Population: &PopulationReport{Digits: []int{}, MorePeople: fewestPeople}}, nil
	}
	if err != nil {
		return nil, err
	}
	a := &Advice{Worth: rep.Population.Rank > 0, Reason: rep.Reason, Population: rep.Population, Prequential: q}
	if len(rep.Population.Tried) > 0 {
		if a.Head, err = p.headAdvice(ctx, h, found.people, rep.Population); err != nil {
			return nil, err
		}
	}
	p.keepAdvice(ctx, a.Last())
	a.Seconds = time.Since(began).Seconds()
	return a, nil
}
