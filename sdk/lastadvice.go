package sdk

import (
	"context"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
)

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
