package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// measurement is everything on one device.
type measurement struct {
	model, device string
	used          string // the device that the engine took
	texts         []string
	small         bool
}

var labels = []string{"red", "green", "blue"}

const (
	profiles = 256
	perHead  = 8 // texts of each of them
)

func (m *measurement) run(ctx context.Context) error {
	for _, f := range []func(context.Context, *sdk.Folder) error{m.learn, m.learnMany, m.trainBank, m.predict} {
		if err := m.with(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// with gives f a new store of masks over adapters in all blocks.
func (m *measurement) with(ctx context.Context, f func(context.Context, *sdk.Folder) error) error {
	dir, err := os.MkdirTemp("", "xpeft-gpu-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := sdk.Create(ctx, dir+"/store",
		sdk.Config{Model: m.model, Labels: labels, Masks: true,
			Options: &sdk.Options{Device: m.device, NoTaught: true}})
	if err != nil {
		return err
	}
	defer p.Close()
	st, err := p.Stats(ctx)
	if err != nil {
		return err
	}
	m.used = st.Engine + " on " + st.Device
	return f(ctx, p)
}

func (m *measurement) onCard() bool { return m.used == "torch on cuda" }

// rounds are the card's, or the few that a CPU has time for.
func (m *measurement) rounds(card, cpu int) int {
	if m.onCard() {
		return m.share(card)
	}
	return cpu
}

// share is a number of things, or a sixteenth.
func (m *measurement) share(n int) int {
	if m.small {
		return max(1, n/16)
	}
	return n
}

func (m *measurement) examples(from, n int) []sdk.Example {
	out := make([]sdk.Example, n)
	for i := range out {
		out[i] = sdk.Example{Text: m.texts[(from+i)%len(m.texts)], Label: labels[i%len(labels)]}
	}
	return out
}

func (m *measurement) options() *sdk.LearnOptions {
	c := learner.Default()
	c.Epochs, c.Batch, c.Patience = m.share(10), 16, 0
	return &sdk.LearnOptions{Config: &c, Head: sdk.OwnHead, Force: true}
}

// learn is one profile of 60 texts, 10 epochs: masks in all blocks, LN_b's affine and a head.
func (m *measurement) learn(ctx context.Context, p *sdk.Folder) error {
	warm := m.rounds(1, 0)
	for round := range m.rounds(2, 1) + warm {
		began := time.Now()
		rep, err := p.Learn(ctx, fmt.Sprint("ann", round), m.examples(0, 60), m.options())
		if err != nil {
			return err
		}
		if round >= warm {
			m.say("Learn of 60 texts × 10 epochs, all blocks", "s", time.Since(began).Seconds(),
				fmt.Sprintf("%d steps by %s on %s", rep.Steps, rep.Engine, rep.Device))
		}
	}
	return nil
}

// learnMany is 256 profiles of 8 texts together, and some of them one by one. A CPU gets fewer, as
// it takes minutes.
func (m *measurement) learnMany(ctx context.Context, p *sdk.Folder) error {
	n, o := m.share(profiles), m.options()
	if !m.onCard() {
		n = m.share(profiles / 16)
	}
	var requests []sdk.LearnRequest
	for i := range n {
		requests = append(requests, sdk.LearnRequest{Profile: fmt.Sprint("many", i),
			Examples: m.examples(i*perHead, perHead)})
	}
	began := time.Now()
	results, err := p.LearnMany(ctx, requests, o)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
	}
	m.say("LearnMany, 8 texts a profile, all blocks", "profiles/s", float64(n)/time.Since(began).Seconds(),
		fmt.Sprintf("%d profiles", n))
	few := m.rounds(16, min(8, n))
	began = time.Now()
	for i := range few {
		if _, err := p.Learn(ctx, fmt.Sprint("one", i), m.examples(i*perHead, perHead), o); err != nil {
			return err
		}
	}
	m.say("the same one by one", "profiles/s", float64(few)/time.Since(began).Seconds(),
		fmt.Sprintf("%d profiles", few))
	return nil
}

// trainBank is a few steps over 256 profiles in all blocks.
func (m *measurement) trainBank(ctx context.Context, p *sdk.Folder) error {
	n := m.rounds(profiles, 32)
	c := learner.Default()
	c.Epochs = 1
	c.Updates = 1
	for i := range n {
		o := &sdk.LearnOptions{Config: &c, Force: true}
		if _, err := p.Learn(ctx, fmt.Sprint("p", i), m.examples(i*perHead, perHead), o); err != nil {
			return err
		}
	}
	if _, err := p.TrainHead(ctx, nil); err != nil {
		return err
	}
	const steps = 12
	var marks []time.Time
	_, err := p.TrainBank(ctx, &sdk.TrainBankOptions{
		Edit:     func(c *learner.BankConfig) { c.Blocks, c.Updates, c.WatchEvery = 6, steps, steps },
		Progress: func(int, int, float32) { marks = append(marks, time.Now()) },
	})
	if err != nil || len(marks) < 3 {
		return fmt.Errorf("TrainBank: %d steps, %w", len(marks), err)
	}
	var each []float64
	for i, at := range marks[1:] {
		each = append(each, at.Sub(marks[i]).Seconds()*1e3)
	}
	slices.Sort(each)
	m.say("TrainBank, all blocks, a step", "ms", each[len(each)/2], fmt.Sprintf("median of %d", len(each)))
	return nil
}

// predict is batches of 64 profiles, in all blocks.
func (m *measurement) predict(ctx context.Context, p *sdk.Folder) error {
	const served = 64
	warm := m.rounds(2, 1)
	c := learner.Default()
	c.Epochs, c.Updates = 1, 1
	for i := range served {
		if _, err := p.Learn(ctx, fmt.Sprint("p", i), m.examples(i*perHead, perHead),
			&sdk.LearnOptions{Config: &c, Force: true}); err != nil {
			return err
		}
	}
	for _, rows := range []int{64, 1024} {
		var took []float64
		for round := range m.rounds(16, 2) + warm {
			batch := make([]sdk.Request, rows)
			for i := range batch {
				batch[i] = sdk.Request{Profile: fmt.Sprint("p", i%served), Text: m.texts[(round*rows+i)%len(m.texts)]}
			}
			began := time.Now()
			answers, err := p.PredictBatch(ctx, batch)
			if err != nil {
				return err
			}
			for _, a := range answers {
				if a.Err != nil {
					return a.Err
				}
			}
			if round >= warm {
				took = append(took, time.Since(began).Seconds())
			}
		}
		slices.Sort(took)
		m.say(fmt.Sprintf("PredictBatch of %d rows, %d profiles, all blocks", rows, served), "texts/s",
			float64(rows)/took[len(took)/2], fmt.Sprintf("median of %d", len(took)))
	}
	return nil
}
