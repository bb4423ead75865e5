package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/xpeft/xpeft/internal/population"
)

// Places are the people who are new to one bank, where their codes put them, and what they say
// about texts that their codes did not see.
type Places struct {
	Labels []string     `json:"labels"`
	Digits []int        `json:"digits"` // of each axis
	People []Place      `json:"people"`
	Texts  []PlacedText `json:"texts"`
}

// Place is one person's code: Level's bits are kept, Z and Bias are what they stand for.
type Place struct {
	ID    string    `json:"id"`
	Level []int     `json:"level"`
	Z     []float64 `json:"z"`
	Bias  []float64 `json:"bias"`
}

// PlacedText is a text that no code saw: what the head gives each label, then what each axis adds
// at z = 1, and the answers of the people who gave one.
type PlacedText struct {
	Text  string    `json:"text"`
	Row   []float64 `json:"row"`
	Who   []int     `json:"who"` // in Places.People
	Class []int     `json:"class"`
}

// Places trains the bank of one half of the people, and codes for the others by 70 % of the texts.
// With NewTexts nobody of the bank's half has the others either.
func (e *People) Places(ctx context.Context, names []string) (*Places, error) {
	split, apart := e.First, *e
	apart.NewTexts = true
	half, held := e.halves(split), apart.heldTexts(split)
	b, err := e.train(ctx, split, half[0], e.heldTexts(split))
	if err != nil {
		return nil, err
	}
	if b.J == 0 {
		return nil, fmt.Errorf("%w: the people of split %d do not differ: there are no places", ErrData, split)
	}
	out := &Places{Labels: e.Data.Labels, Digits: b.Digits}
	at := map[int]int{} // of a text, its place in out.Texts
	for _, who := range half[1] {
		n := apart.newcomer(split, who, held)
		if len(n.train) == 0 {
			continue
		}
		c, err := b.Fit(ctx, e.examples(b, b.Model, n, e.first(n, 0)))
		if err != nil {
			return nil, err
		}
		p := Place{ID: e.Data.People[who].ID, Z: b.levels(c.Level)}
		for _, l := range c.Level {
			p.Level = append(p.Level, int(l))
		}
		for _, v := range c.Bias {
			p.Bias = append(p.Bias, population.BiasOf(v))
		}
		texts, class := e.Data.texts(who, n.test)
		for k, t := range texts {
			i, ok := at[t]
			if !ok {
				i, at[t] = len(out.Texts), len(out.Texts)
				out.Texts = append(out.Texts, PlacedText{Text: names[t], Row: b.rows(b.Model, []int{t})})
			}
			out.Texts[i].Who, out.Texts[i].Class = append(out.Texts[i].Who, len(out.People)),
				append(out.Texts[i].Class, class[k])
		}
		out.People = append(out.People, p)
	}
	return out, nil
}

// AnsweredTexts are the texts by their numbers in an Answered of the same arguments.
func AnsweredTexts(d *Data, least int, drop []string) (out []string) {
	_, texts := answers(d, least, drop)
	for _, t := range texts {
		out = append(out, t.Text)
	}
	return out
}

// ReadPlaces reads what was written as JSON.
func ReadPlaces(path string) (*Places, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := new(Places)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrData, path, err)
	}
	for _, one := range p.People {
		if len(p.Labels) < 2 || len(p.Digits) == 0 || len(one.Z) != len(p.Digits) ||
			len(one.Level) != len(p.Digits) || len(one.Bias) != len(p.Labels) {
			return nil, fmt.Errorf("%w: %s has no places", ErrData, path)
		}
	}
	for _, t := range p.Texts {
		for k, who := range t.Who {
			if len(t.Row) != len(p.Labels)*(1+len(p.Digits)) || len(t.Class) != len(t.Who) || who < 0 ||
				who >= len(p.People) || t.Class[k] < 0 || t.Class[k] >= len(p.Labels) {
				return nil, fmt.Errorf("%w: %s: the answers to %q", ErrData, path, t.Text)
			}
		}
	}
	return p, nil
}
