package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/learner/population"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Question is a text whose label tells much about a person.
type Question struct {
	Text   string
	Labels []string // that it may be given
}

const (
	// mostCandidates bounds the texts of one Ask, each of which costs a forward pass.
	mostCandidates = 10_000
	// mostBends bounds the numbers that choosing among them holds in memory: 512 MB of them.
	mostBends = 1 << 26
	// askedAtOnce is how many texts' features are there at once.
	askedAtOnce = 256
)

// Ask chooses up to n of some texts: those whose labels would tell most about a person's place on the axes that TrainBank found, given what is stored of the person; a profile need not exist. Texts that the
// person has labelled already are left out, and no text comes twice. Observe or Learn the answers, and ask again: the next questions follow from them. Three answers to
// such questions can be worth ten to others (docs/accuracy.md). Fewer questions than n mean that no candidates are left; ErrNoPopulation that there are no axes. Cost: a forward pass of each
// candidate. ErrLimit beyond 10,000 candidates.
func (p *SDK) Ask(ctx context.Context, id string, candidates []string, n int) ([]Question, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := p.options.Limits.checkID(id); err != nil {
		return nil, err
	}
	if err := p.checkCandidates(candidates, n); err != nil {
		return nil, err
	}
	j, known, err := p.jointOfPerson(id)
	if err != nil {
		return nil, err
	}
	if size := j.Count() + len(j.Labels); len(candidates)*size*size > mostBends {
		return nil, fmt.Errorf("%w: %d candidates for %d labels, at most %d", ErrLimit, len(candidates), len(j.Labels), mostBends/size/size)
	}
	var texts []string
	seen := map[uint64]bool{}
	for _, e := range known {
		seen[e.Key] = true
	}
	for _, text := range candidates {
		if key := p.options.texts.Key(text, ""); !seen[key] {
			seen[key] = true
			texts = append(texts, text)
		}
	}
	return p.ask(ctx, j, known, texts, n)
}

func (p *SDK) checkCandidates(candidates []string, n int) error {
	if n < 1 {
		return configError([]string{fmt.Sprintf("%d questions are to be asked", n)})
	}
	if len(candidates) > mostCandidates {
		return fmt.Errorf("%w: %d candidates, at most %d", ErrLimit, len(candidates), mostCandidates)
	}
	for i, text := range candidates {
		if fault := textFault(text, ""); fault != "" {
			return fmt.Errorf("%w: candidate %d: %s", ErrExample, i, fault)
		}
		if err := over("bytes of a text", len(text), "Text", p.options.Limits.Text); err != nil {
			return err
		}
	}
	return nil
}

// jointOfPerson are the axes that a person's next Learn places them on, and what is stored of the person.
func (p *SDK) jointOfPerson(id string) (*jointBank, []store.Example, error) {
	j, err := p.newcomersJoint()
	if err != nil {
		return nil, nil, err
	}
	var known []store.Example
	if snap, err := p.snapshot(id); err == nil {
		if known, err = p.store.Examples(id); err != nil {
			return nil, nil, err
		}
		if j == nil {
			j = snap.joint
		}
	} else if !errors.Is(err, ErrProfileNotFound) {
		return nil, nil, err
	}
	if j == nil {
		return nil, nil, ErrNoPopulation
	}
	return j, known, nil
}

func (p *SDK) ask(ctx context.Context, j *jointBank, known []store.Example, texts []string, n int) ([]Question, error) {
	h, err := p.head(j.head)
	if err != nil {
		return nil, err
	}
	answered := &population.Examples{}
	var encoded []model.Encoding
	for _, e := range p.encode(fitting(known, h), h) {
		if !e.Rejected {
			encoded, answered.Class, answered.Weight = append(encoded, e.Text), append(answered.Class, e.Class), append(answered.Weight, float64(weightOf(e.Weight)))
		}
	}
	if answered.Rows, err = p.jointRows(ctx, j, encoded); err != nil {
		return nil, err
	}
	encoded = make([]model.Encoding, len(texts))
	for i, text := range texts {
		p.tokenizer.Encode(&encoded[i], text, "", p.maxTokens)
	}
	rows, err := p.jointRows(ctx, j, encoded)
	if err != nil {
		return nil, err
	}
	which, err := j.model.Ask(answered, rows, nil, n)
	if err != nil {
		return nil, err
	}
	out := make([]Question, len(which))
	for k, i := range which {
		out[k] = Question{texts[i], slices.Clone(j.Labels)}
	}
	return out, nil
}

// jointRows is what head and axes give texts: the rows that learner/population works on.
func (p *SDK) jointRows(ctx context.Context, j *jointBank, texts []model.Encoding) (rows []float64, err error) {
	for some := range slices.Chunk(texts, askedAtOnce) {
		phi, err := p.features(ctx, some)
		if err != nil {
			return nil, err
		}
		rows = j.rows(rows, some, phi)
	}
	return rows, nil
}
