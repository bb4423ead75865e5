package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Question is a text whose label tells much about a person.
type Question struct {
	Text   string   `json:"text"`
	Labels []string `json:"labels"` // that it may be given
}

const (
	// mostCandidates bounds the texts of one Ask, each of which costs a forward pass.
	mostCandidates = 10_000
	// mostBends bounds the numbers that choosing among them holds in memory: 512 MB of them.
	mostBends = 1 << 26
	// askedAtOnce is how many texts' features are there at once.
	askedAtOnce = 256
)

// AskOptions of one Ask. Nil, and every zero field, means the default.
type AskOptions struct {
	// Candidates are the texts to choose from, at most 10,000. Nil: the texts that the bank keeps
	// (TrainBankOptions.KeepTexts); an empty slice is no texts.
	Candidates []string
	N          int // most questions to return; default 3
	// Skipped are texts that the person was shown and gave no label to. That tells nothing of the
	// person, and is not stored; they are not asked again.
	Skipped []string
}

// Ask chooses the texts whose labels would tell most about a person's place on the axes that
// TrainBank found, given what is stored of the person; a profile need not exist. Texts that the
// person has labelled already are left out, and no text comes twice. Observe or Learn the answers,
// and ask again: the next questions follow from them. Three answers to such questions can be worth
// ten to others (docs/accuracy.md). Fewer questions than AskOptions.N mean that no candidates are
// left; ErrNoPopulation that there are no axes, or no texts. Cost: a forward pass of each
// candidate; of those that the bank keeps once, then milliseconds.
func (p *Folder) Ask(ctx context.Context, id string, o *AskOptions) ([]Question, error) {
	leave, err := p.lifetime.enter(p.exclusive("Ask"), p.options.Limits.checkID(id))
	if err != nil {
		return nil, err
	}
	defer leave()
	o = cmp.Or(o, &AskOptions{})
	candidates, n := o.Candidates, cmp.Or(o.N, 3)
	if err := p.checkCandidates(candidates, n); err != nil {
		return nil, err
	}
	j, known, err := p.jointOfPerson(id)
	if err != nil {
		return nil, err
	}
	if most := j.mostTexts(); len(candidates) > most {
		return nil, fmt.Errorf("%w: %d candidates for %d labels, at most %d", ErrLimit, len(candidates),
			len(j.Labels), most)
	}
	left := p.notSeen(known, o.Skipped)
	if candidates == nil {
		kept, err := p.keptTexts(ctx, j)
		if err != nil {
			return nil, err
		}
		return p.ask(ctx, j, known, kept.of(left(kept.texts)), n)
	}
	c := &askable{}
	for _, i := range left(candidates) {
		c.texts = append(c.texts, candidates[i])
	}
	if c.rows, err = p.rowsOf(ctx, j, c.texts); err != nil {
		return nil, err
	}
	return p.ask(ctx, j, known, c, n)
}

// askable are texts to choose from.
type askable struct {
	texts []string
	rows  []float64 // of population.Model.Project
}

// of are some of them.
func (a *askable) of(which []int) *askable {
	out, width := &askable{}, len(a.rows)/max(1, len(a.texts))
	for _, i := range which {
		out.texts = append(out.texts, a.texts[i])
		out.rows = append(out.rows, a.rows[i*width:(i+1)*width]...)
	}
	return out
}

// mostTexts is how many there is room to choose from.
func (j *jointBank) mostTexts() int {
	size := j.Count() + len(j.Labels)
	return min(mostCandidates, mostBends/size/size)
}

// notSeen gives the numbers of those texts, each once, that a person has neither labelled nor
// skipped.
func (p *Folder) notSeen(labelled []store.Example, skipped []string) func(texts []string) []int {
	seen := map[uint64]bool{}
	for _, e := range labelled {
		seen[e.Key] = true
	}
	for _, text := range skipped {
		seen[p.options.texts.Key(text, "")] = true
	}
	return func(texts []string) (left []int) {
		for i, text := range texts {
			if key := p.options.texts.Key(text, ""); !seen[key] {
				seen[key] = true
				left = append(left, i)
			}
		}
		return left
	}
}

func (p *Folder) checkCandidates(candidates []string, n int) error {
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

// jointOfPerson are the axes that a person's next Learn places them on, and what is stored of the
// person.
func (p *Folder) jointOfPerson(id string) (*jointBank, []store.Example, error) {
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
		return nil, nil, errNoAxes
	}
	return j, known, nil
}

func (p *Folder) ask(ctx context.Context, j *jointBank, known []store.Example, c *askable, n int) ([]Question, error) {
	h, err := p.head(j.head)
	if err != nil {
		return nil, err
	}
	answers := &population.Examples{}
	var encoded []model.Encoding
	for _, e := range p.encode(fitting(known, h), h) {
		if !e.Rejected {
			encoded, answers.Class, answers.Weight = append(encoded, e.Text), append(answers.Class, e.Class),
				append(answers.Weight, float64(weightOf(e.Weight)))
		}
	}
	if answers.Rows, err = p.jointRows(ctx, j, encoded); err != nil {
		return nil, err
	}
	which, err := j.model.Ask(answers, c.rows, nil, n)
	if err != nil {
		return nil, err
	}
	out := make([]Question, len(which))
	for k, i := range which {
		out[k] = Question{c.texts[i], slices.Clone(j.Labels)}
	}
	return out, nil
}

// rowsOf is jointRows of texts as they are written.
func (p *Folder) rowsOf(ctx context.Context, j *jointBank, texts []string) ([]float64, error) {
	return p.jointRows(ctx, j, p.encodeTexts(texts))
}

// jointRows is what head and axes give texts: the rows that internal/population works on.
func (p *Folder) jointRows(ctx context.Context, j *jointBank, texts []model.Encoding) (rows []float64, err error) {
	for some := range slices.Chunk(texts, askedAtOnce) {
		phi, err := p.features(ctx, some)
		if err != nil {
			return nil, err
		}
		rows = j.rows(rows, some, phi)
	}
	return rows, nil
}
