package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

// Precisions measures what other precisions than float32 do to answers. People learn by the SDK's
// own calls, which learn in float32; then the same folder answers in each precision.
type Precisions struct {
	Model     string
	MaxTokens int
	Names     []string // beside float32
	Out       string   // folder of the answers: a source that is there is not asked again
	Log       func(string)
}

// Asked is one source: who learns what, and is asked what.
type Asked struct {
	Name   string
	Labels []string
	People []AskedPerson
}

// AskedPerson is one profile's texts.
type AskedPerson struct {
	ID           string
	Learn, Asked []Example
}

// AskedPeople keeps back three in ten of each person's texts, of which there are at most that many.
func AskedPeople(name string, d *Data, most int) *Asked {
	a := &Asked{Name: name, Labels: d.Labels}
	for _, p := range d.People {
		train, test := Cut(p, 0, most)
		pick := func(which []int) (out []Example) {
			for _, i := range which {
				out = append(out, p.Examples[i])
			}
			return out
		}
		a.People = append(a.People, AskedPerson{p.ID, pick(train), pick(test)})
	}
	return a
}

// AskedTask is one profile that learns a task's first rows and is asked all of its dev rows.
func AskedTask(t *Task, rows int) *Asked {
	p := AskedPerson{ID: t.Name}
	for _, r := range t.Train[:min(rows, len(t.Train))] {
		p.Learn = append(p.Learn, r.Example)
	}
	for _, r := range t.Dev {
		p.Asked = append(p.Asked, r.Example)
	}
	return &Asked{t.Name, t.Labels, []AskedPerson{p}}
}

// answered is one answer.
type answered struct {
	Label  string
	Right  bool
	Loss   float64 // log-loss
	Best   float64 // the best label's probability
	Margin float64 // over the next one's
}

// Run gives a row for each source and precision, and those of all sources.
func (e *Precisions) Run(ctx context.Context, sources []*Asked) ([]PrecisionRow, error) {
	if err := os.MkdirAll(e.Out, 0o777); err != nil {
		return nil, err
	}
	all := map[string][]answered{}
	var rows []PrecisionRow
	for _, a := range sources {
		of, err := e.source(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		for _, name := range e.Names {
			rows = append(rows, comparePrecisions(a.Name, name, of["float32"], of[name]))
		}
		for name, answers := range of {
			all[name] = append(all[name], answers...)
		}
	}
	for _, name := range e.Names {
		rows = append(rows, comparePrecisions("all", name, all["float32"], all[name]))
	}
	return rows, nil
}

// source reads the answers of a run before, or makes a folder in which everybody has learned, and
// asks it in each precision.
func (e *Precisions) source(ctx context.Context, a *Asked) (out map[string][]answered, err error) {
	path := filepath.Join(e.Out, a.Name+".json")
	if raw, err := os.ReadFile(path); err == nil {
		return out, json.Unmarshal(raw, &out)
	}
	out = map[string][]answered{}
	root, err := os.MkdirTemp("", "xpeft-precision-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	dir := filepath.Join(root, "home")
	if err := e.learn(ctx, dir, a); err != nil {
		return nil, err
	}
	for _, name := range append([]string{"float32"}, e.Names...) {
		if out[name], err = e.answers(ctx, dir, name, a); err != nil {
			return nil, err
		}
		e.Log(fmt.Sprintf("%s: %d answers in %s", a.Name, len(out[name]), name))
	}
	return out, writeJSON(path, out)
}

// mostAxisLabels is how many labels a source may have whose axes are sought: with thirty it would
// take an hour.
const mostAxisLabels = 4

// unlikely bounds an answer's log-loss.
const unlikely = 14

// learn teaches everybody, then the head that they share and their axes, and moves them there. The
// axes know no single texts: an answer depends on what the encoder makes of the text.
func (e *Precisions) learn(ctx context.Context, dir string, a *Asked) (err error) {
	p, err := sdk.Create(ctx, dir, sdk.Config{Model: e.Model, Labels: a.Labels, MaxTokens: e.MaxTokens})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var requests []sdk.LearnRequest
	for _, person := range a.People {
		r := sdk.LearnRequest{Profile: person.ID}
		for _, x := range person.Learn {
			r.Examples = append(r.Examples, sdk.Example{Text: x.Text, Pair: x.Pair, Label: x.Label})
		}
		requests = append(requests, r)
	}
	if _, err := learnAll(ctx, p, requests, nil); err != nil {
		return err
	}
	if _, err := p.TrainHead(ctx, nil); err != nil {
		return err
	}
	said := "no axes were sought"
	if len(a.People) > 1 && len(a.Labels) <= mostAxisLabels {
		report, err := p.TrainBank(ctx, &sdk.TrainBankOptions{ForgetTexts: true})
		if err != nil {
			return err
		}
		said = report.Reason
	}
	for _, err := range p.RebaseAll(ctx) {
		if err != nil {
			return err
		}
	}
	e.Log(fmt.Sprintf("%s: %d profiles learned; %s", a.Name, len(a.People), said))
	return nil
}

// answers asks all texts in one precision.
func (e *Precisions) answers(ctx context.Context, dir, precision string, a *Asked) (out []answered, err error) {
	p, err := sdk.Open(ctx, dir, &sdk.Options{Precision: precision, NoTaught: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if st, err := p.Stats(ctx); err != nil || st.Precision != precision {
		return nil, fmt.Errorf("this machine answers in %q, not in %s: %w", st.Precision, precision, errors.Join(err))
	}
	for _, person := range a.People {
		var requests []sdk.Request
		for _, x := range person.Asked {
			requests = append(requests, sdk.Request{Profile: person.ID, Text: x.Text, Pair: x.Pair})
		}
		got, err := p.PredictBatch(ctx, requests)
		if err != nil {
			return nil, err
		}
		for i, g := range got {
			if g.Err != nil {
				return nil, g.Err
			}
			out = append(out, newAnswered(g, model.CleanLabel(person.Asked[i].Label)))
		}
	}
	return out, nil
}

func newAnswered(p sdk.Prediction, truth string) answered {
	a := answered{Label: p.Label, Right: p.Label == truth, Loss: unlikely}
	next := 0.
	for _, q := range p.Probabilities {
		switch v := float64(q.P); {
		case v > a.Best:
			a.Best, next = v, a.Best
		case v > next:
			next = v
		}
		if q.Label == truth {
			a.Loss = min(unlikely, -math.Log(float64(q.P)))
		}
	}
	a.Margin = a.Best - next
	return a
}
