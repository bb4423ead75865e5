package eval

import (
	"encoding/json"
	"os"
	"slices"
)

// answers numbers the texts of those people who have at least so many answers beside those whose
// label is dropped.
func answers(d *Data, least int, drop []string) (*Answered, []Example) {
	a := &Answered{}
	for _, l := range d.Labels {
		if !slices.Contains(drop, l) {
			a.Labels = append(a.Labels, l)
		}
	}
	rows, texts := map[[2]string]int{}, []Example(nil)
	var shown []float64
	for _, p := range d.People {
		one, labelled := Answerer{ID: p.ID}, 0
		for _, e := range p.Examples {
			if slices.Contains(a.Labels, e.Label) {
				labelled++
			}
		}
		if labelled < least {
			continue
		}
		for _, e := range p.Examples {
			key := [2]string{e.Text, e.Pair}
			row, ok := rows[key]
			if !ok {
				row, rows[key] = len(texts), len(texts)
				texts, shown, a.Answers = append(texts, e), append(shown, 0), append(a.Answers, 0)
			}
			class := slices.Index(a.Labels, e.Label)
			if shown[row]++; class >= 0 {
				a.Answers[row]++
			}
			one.Text, one.Class = append(one.Text, row), append(one.Class, class)
		}
		a.People = append(a.People, one)
	}
	for t := range shown {
		a.Answers[t] /= shown[t]
	}
	return a, texts
}

// Write keeps the data in a file for ReadAnswered.
func (d *Answered) Write(path string) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// ReadAnswered reads what Write wrote.
func ReadAnswered(path string) (*Answered, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := new(Answered)
	return d, json.Unmarshal(data, d)
}
