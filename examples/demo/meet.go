package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// islanders are real people who said whether they agree with statements: see data/README.md.
type islanders struct {
	Statements []string
	People     []string // a letter for each statement: a(gree), d(isagree), p(ass), - not shown
}

var opinions = map[byte]string{'a': "agree", 'd': "disagree"}

const (
	newcomers = 20 // of the people: not in the population
	questions = 3
)

func readIslanders() (in islanders, err error) {
	b, err := data.ReadFile("data/islanders.json")
	if err != nil {
		return in, err
	}
	return in, json.Unmarshal(b, &in)
}

// answers are the opinions of person k on statements that are, or are not, kept back to measure by:
// every second one.
func (in *islanders) answers(k int, kept bool) (out []sdk.Example) {
	for i, text := range in.Statements {
		if label, ok := opinions[in.People[k][i]]; ok && kept == ((i+k)%2 == 0) {
			out = append(out, sdk.Example{Text: text, Label: label})
		}
	}
	return out
}

// meeting is a folder of islanders in which new ones are asked a few questions.
type meeting struct {
	*show
	islanders
	folder *sdk.Folder
}

// meet finds what a population differs on, and places new people by three answers each.
func (s *show) meet(ctx context.Context, model, dir string) (err error) {
	m := &meeting{show: s}
	if m.islanders, err = readIslanders(); err != nil {
		return err
	}
	m.folder, err = sdk.Create(ctx, filepath.Join(dir, "islanders"),
		sdk.Config{Model: model, Labels: []string{"agree", "disagree"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.folder.Close()) }()
	old := len(m.People) - newcomers
	s.printf("\n5. Three questions: %d people of San Juan Island said what they think of %d statements (real "+
		"votes,\n", old, len(m.Statements))
	s.printf("   from Polis; data/README.md). How they differ is found, and %d others answer three questions "+
		"each.\n\n", newcomers)
	if found, err := m.population(ctx, old); err != nil || !found {
		return err
	}
	return m.newcomers(ctx, old)
}

// population stores what people said, and finds the axes on which they differ.
func (m *meeting) population(ctx context.Context, old int) (bool, error) {
	var requests []sdk.LearnRequest
	n := 0
	for k := range old {
		r := sdk.LearnRequest{Profile: fmt.Sprintf("islander %d", k+1),
			Examples: append(m.answers(k, true), m.answers(k, false)...)}
		requests, n = append(requests, r), n+len(r.Examples)
	}
	began := time.Now()
	results, err := m.folder.LearnMany(ctx, requests, nil)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	if err != nil {
		return false, err
	}
	m.printf("  learn     %d people, %s answers, in %.1f s\n", old, thousands(n), time.Since(began).Seconds())
	rep, err := m.folder.TrainBank(ctx, &sdk.TrainBankOptions{KeepTexts: true})
	if err != nil {
		return false, err
	}
	m.printf("  bank      %s, in %.1f s\n", rep.Reason, rep.Seconds)
	return rep.Installed, nil
}

// newcomers answer questions, and are asked about what was kept back: once after questions that
// were chosen for them, once after others at random.
func (m *meeting) newcomers(ctx context.Context, old int) error {
	var none, asked, random score
	for k := old; k < len(m.People); k++ {
		test, id := m.answers(k, true), fmt.Sprintf("newcomer %d", k-old+1)
		rep, err := m.interview(ctx, k, id, k == old)
		if err != nil {
			return err
		}
		if k == old {
			m.printf("            and has a profile of %d bytes.\n\n", rep.Bytes)
		}
		others := m.answers(k, false)
		rng := rand.New(rand.NewPCG(5, uint64(k)))
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		if _, err := m.folder.Learn(ctx, id+", at random", others[:questions], nil); err != nil {
			return err
		}
		for profile, to := range map[string]*score{"": &none, id: &asked, id + ", at random": &random} {
			if err := m.measure(ctx, to, profile, test); err != nil {
				return err
			}
		}
	}
	m.printf("  All %d newcomers, on %d of their answers to statements that they were not asked about:\n\n",
		newcomers, none.of)
	m.printf("  before any answer                        %v\n", none)
	m.printf("  after three answers, chosen by Ask       %v\n", asked)
	m.printf("  after three answers to random statements %v\n", random)
	return nil
}

// interview asks one question after the other, of those that are not kept back and that this person
// has an opinion on.
func (m *meeting) interview(ctx context.Context, k int, id string, aloud bool) (rep *sdk.Report, err error) {
	label, skip := map[string]string{}, []string(nil)
	for _, e := range m.answers(k, false) {
		label[e.Text] = e.Label
	}
	for _, text := range m.Statements {
		if label[text] == "" {
			skip = append(skip, text)
		}
	}
	for range questions {
		next, err := m.folder.Ask(ctx, id, &sdk.AskOptions{N: 1, Skipped: skip})
		if err != nil {
			return nil, err
		}
		text := next[0].Text
		if rep, err = m.folder.Learn(ctx, id, []sdk.Example{{Text: text, Label: label[text]}}, nil); err != nil {
			return nil, err
		}
		for i, line := range wrap(text, 74) {
			if aloud && i == 0 {
				m.printf("  ask       %-76s%s\n", line, label[text])
			} else if aloud {
				m.printf("%s%s\n", strings.Repeat(" ", 12), line)
			}
		}
	}
	return rep, nil
}

// measure asks for a profile, or for nobody.
func (m *meeting) measure(ctx context.Context, to *score, profile string, test []sdk.Example) error {
	var requests []sdk.Request
	for _, e := range test {
		requests = append(requests, sdk.Request{Profile: profile, Base: profile == "", Text: e.Text,
			Fallback: sdk.FallbackBase, NoTaught: true})
	}
	answers, err := m.folder.PredictBatch(ctx, requests)
	for i, a := range answers {
		err = errors.Join(err, a.Err)
		to.add(a.Label == test[i].Label)
	}
	return err
}
