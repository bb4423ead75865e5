package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
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

// LastAdvice is what the last Advise, or TrainBank of axes, found, in the folder's life. It names
// nobody.
type LastAdvice struct {
	Time    time.Time `json:"time"`
	Trained bool      `json:"trained"` // by a TrainBank, which installed it if it was worth it
	Worth   bool      `json:"worth"`
	Reason  string    `json:"reason"` // in words
	// Of PopulationReport.
	People     int     `json:"people"`
	Rank       int     `json:"rank"`
	Gain       float64 `json:"gain"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	MorePeople int     `json:"more_people"`
	// Of HeadAdvice; HeadReason is empty where none was measured, as by TrainBank.
	HeadReason string  `json:"head_reason"`
	HeadGain   float64 `json:"head_gain"`
	HeadLow    float64 `json:"head_low"`
	HeadHigh   float64 `json:"head_high"`
}

// Last is what Stats keeps of it.
func (a *Advice) Last() LastAdvice {
	r := a.Population
	out := LastAdvice{Time: time.Now(), Worth: a.Worth, Reason: a.Reason, People: r.People, Rank: r.Rank,
		Gain: r.Gain, Low: r.Low, High: r.High, MorePeople: r.MorePeople}
	if h := a.Head; h != nil {
		out.HeadReason, out.HeadGain, out.HeadLow, out.HeadHigh = h.Reason, h.Gain, h.Low, h.High
	}
	return out
}

// keepAdvice writes it down for Stats. That it could not is no reason to lose what took a
// TrainBank's time.
func (p *Folder) keepAdvice(ctx context.Context, a LastAdvice) {
	if p.options.ReadOnly {
		return
	}
	if err := folder.KeepAdvice(ctx, p.store, a); err != nil {
		p.options.Logger.Warn("what was found is not in Stats", "error", err)
	}
}
