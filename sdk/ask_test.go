package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// TestAsk: what is asked has not been answered, comes once, follows from the answers, and tells
// more than other texts do.
func TestAsk(t *testing.T) {
	ctx := context.Background()
	p, q := joined(t)
	candidates := slices.Concat(q.texts, q.texts[:5])
	first, err := p.Ask(ctx, "ann", &AskOptions{Candidates: candidates, N: 4})
	if err != nil || len(first) != 4 || !slices.Equal(first[0].Labels, sides) {
		t.Fatalf("got %+v, %v, want four questions", first, err)
	}
	if want := mostTold(t, p, q.texts); first[0].Text != want {
		t.Errorf("asked first: got %q, want %q", first[0].Text, want)
	}
	if again, err := p.Ask(ctx, "ann", &AskOptions{Candidates: candidates, N: 4}); err != nil ||
		fmt.Sprint(again) != fmt.Sprint(first) {
		t.Errorf("asked again: got %v, %v, want %v", again, err, first)
	}
	if err := p.Observe(ctx, "ann", Example{Text: first[0].Text, Label: sides[1]}); err != nil {
		t.Fatal(err)
	}
	next, err := p.Ask(ctx, "ann", &AskOptions{Candidates: candidates, N: 1000})
	if err != nil || len(next) != len(q.texts)-1 {
		t.Errorf("got %d questions, %v, want all %d that are left", len(next), err, len(q.texts)-1)
	}
	seen := map[string]bool{}
	for _, question := range next {
		if seen[question.Text] || question.Text == first[0].Text {
			t.Errorf("%q is asked again", question.Text)
		}
		seen[question.Text] = true
	}
	var asked, drawn float64
	for u := range 40 {
		es := q.person(60)
		label := map[string]string{}
		for _, e := range es {
			label[e.Text] = e.Label
		}
		var answers []Example
		questions, err := p.Ask(ctx, fmt.Sprint("new ", u), &AskOptions{Candidates: q.texts[:30], N: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, question := range questions {
			answers = append(answers, Example{Text: question.Text, Label: label[question.Text]})
		}
		var test, others []Example
		for _, e := range es {
			if i := slices.Index(q.texts, e.Text); i >= 30 {
				test = append(test, e)
			} else {
				others = append(others, e)
			}
		}
		mustLearn(t, p, fmt.Sprint("asked ", u), answers, nil)
		mustLearn(t, p, fmt.Sprint("drawn ", u), others[:3], nil)
		asked += rightShare(t, p, fmt.Sprint("asked ", u), test) / 40
		drawn += rightShare(t, p, fmt.Sprint("drawn ", u), test) / 40
	}
	t.Logf("%.3f right after three questions, %.3f after three texts at random", asked, drawn)
	if asked < drawn {
		t.Errorf("got %.3f right after three questions, %.3f after three texts at random", asked, drawn)
	}
}

// mostTold is the text whose label tells most about somebody of whom nothing is known: of the two
// logits' difference, p(1−p)·(its slopes by z and both biases, squared).
func mostTold(t *testing.T, p *Folder, texts []string) (best string) {
	t.Helper()
	j, err := p.newcomersJoint()
	if err != nil || j == nil || j.Count() != 1 {
		t.Fatalf("got %v, %v, want one axis", j, err)
	}
	most := 0.0
	for _, text := range texts {
		var e model.Encoding
		p.tokenizer.Encode(&e, text, "", p.maxTokens)
		row, err := p.jointRows(context.Background(), j, []model.Encoding{e})
		if err != nil {
			t.Fatal(err)
		}
		right := 1 / (1 + math.Exp(row[1]-row[0]))
		if tells := right * (1 - right) * ((row[3]-row[2])*(row[3]-row[2]) + 2); tells > most {
			best, most = text, tells
		}
	}
	return best
}

func TestAskRefused(t *testing.T) {
	ctx := context.Background()
	p := differing(t, "")
	many := make([]string, mostCandidates+1)
	for name, c := range map[string]struct {
		id    string
		texts []string
		n     int
		want  error
	}{
		"nobody":          {"", []string{"server"}, 1, ErrID},
		"no axes":         {"ann", []string{"server"}, 1, ErrNoPopulation},
		"fewer than none": {"ann", []string{"server"}, -1, ErrConfig},
		"an empty text":   {"ann", []string{"server", " "}, 1, ErrExample},
		"too many":        {"ann", many, 1, ErrLimit},
	} {
		if got, err := p.Ask(ctx, c.id, &AskOptions{Candidates: c.texts, N: c.n}); !errors.Is(err, c.want) ||
			got != nil {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c.want)
		}
	}
}

// TestAdvise: it says what TrainBank would do, and does nothing.
func TestAdvise(t *testing.T) {
	ctx := context.Background()
	p := differing(t, "")
	none, err := p.Advise(ctx, nil)
	if err != nil || none.Worth || none.Population.MorePeople < 1 || none.Reason == "" || none.Head != nil {
		t.Errorf("of nobody: got %+v, %v", none, err)
	}
	q := plantedIn(t, p, 60, 1, 1)
	q.observed(t, p, 40, 30)
	if err := p.SetPrivate(ctx, "old 3", true); err != nil {
		t.Fatal(err)
	}
	_, head, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	advice, err := p.Advise(ctx, nil)
	if err != nil || !advice.Worth || advice.Population.Rank < 1 || advice.Population.People != 39 ||
		advice.Seconds == 0 || advice.Head == nil {
		t.Errorf("got %+v, %+v, %v, want axes of 39 people", advice, advice.Population, err)
	}
	if _, now, err := p.shared(); err != nil || now != head {
		t.Errorf("the head has changed: %v", err)
	}
	if j, err := p.newcomersJoint(); err != nil || j != nil {
		t.Errorf("got %v, %v, want no axes yet", j, err)
	}
	masks := create(t, small(t))
	if _, err := masks.Advise(ctx, nil); !errors.Is(err, ErrNoPopulation) {
		t.Errorf("a folder of masks: got %v, want ErrNoPopulation", err)
	}
}

// TestAdviseHead: a head that nobody taught is worth training where people agree; one that they
// taught is not, nor one of axes.
func TestAdviseHead(t *testing.T) {
	ctx := context.Background()
	advise := func(p *Folder) *HeadAdvice {
		t.Helper()
		h, _, err := p.shared()
		if err != nil {
			t.Fatal(err)
		}
		people, _, err := p.population(ctx, h, teachers{most: mostTaught})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.headAdvice(ctx, h, people, &PopulationReport{Tried: []PopulationTry{{Head: 3}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", *a)
		return a
	}
	p := differing(t, "")
	q := plantedIn(t, p, 60, 0, 1)
	q.w = q.direction(3)
	q.observed(t, p, 30, 30)
	if a := advise(p); !a.Worth || !(a.Low > 0.05) || a.High < a.Gain {
		t.Errorf("people who agree: got %+v, want a gain", *a)
	}
	if _, err := p.TrainHead(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if a := advise(p); a.Worth || math.Abs(a.Gain) > 0.05 {
		t.Errorf("the head that they taught: got %+v, want no gain", *a)
	}
	join(t, p)
	if a := advise(p); a.Worth || a.Gain != 0 || a.Reason == "" {
		t.Errorf("beside axes: got %+v, want none", *a)
	}
}
