package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// result is what one measurement found: raw samples, and the ratios that are promised of them.
type result struct {
	Name   string   `json:"name"`        // also its file's
	What   string   `json:"what"`        // a sentence: what is compared, on which input
	X      string   `json:"x,omitempty"` // what At counts: profiles in a batch, adapters, …
	Series []series `json:"series"`
	Ratios []ratio  `json:"ratios,omitempty"`
	Notes  []string `json:"notes,omitempty"`

	Command string `json:"command"`
	machine
}

// series is the samples of one thing. Those of one round of the same result have the same place in
// each series.
type series struct {
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`         // ms, texts/s, GB/s, B, …
	At      float64   `json:"at,omitempty"` // where on a curve: profiles, N, records, …
	Samples []float64 `json:"samples"`
}

// ratio is the median of one series over another's.
type ratio struct {
	Name  string  `json:"name"`
	Of    string  `json:"of"`              // series
	To    string  `json:"to"`              // series
	Bound string  `json:"bound,omitempty"` // as promised: "≤ 1.05"
	Value float64 `json:"value"`
	Low   float64 `json:"low"` // quartiles of the rounds' own ratios
	High  float64 `json:"high"`
}

// add appends a sample to the named series, which it makes if need be.
func (r *result) add(name, unit string, at float64, sample float64) {
	i := slices.IndexFunc(r.Series, func(s series) bool { return s.Name == name && s.At == at })
	if i < 0 {
		i = len(r.Series)
		r.Series = append(r.Series, series{Name: name, Unit: unit, At: at})
	}
	r.Series[i].Samples = append(r.Series[i].Samples, sample)
}

// compare adds the ratio of two series that have no place on a curve.
func (r *result) compare(name, of, to, bound string) {
	a, b := r.samples(of), r.samples(to)
	q := ratio{Name: name, Of: of, To: to, Bound: bound, Value: quantile(a, 0.5) / quantile(b, 0.5)}
	if q.Low, q.High = q.Value, q.Value; len(a) == len(b) {
		each := make([]float64, len(a))
		for i := range a {
			each[i] = a[i] / b[i]
		}
		q.Low, q.High = quantile(each, 0.25), quantile(each, 0.75)
	}
	r.Ratios = append(r.Ratios, q)
}

func (r *result) samples(name string) []float64 {
	for _, s := range r.Series {
		if s.Name == name {
			return s.Samples
		}
	}
	return nil
}

// quiet is what share of the cores' time other programs may take before figures are not to be
// trusted.
const quiet = 0.03

// print is the table for a terminal.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s\n", r.Name, r.What)
	if r.Name == peersName {
		r.peersTable(w)
	} else {
		r.printSeries(w)
	}
	for _, q := range r.Ratios {
		fmt.Fprintf(w, "  ratio: %-37s %12.3f %-8s (%.3f to %.3f)\n", q.Name, q.Value, q.Bound, q.Low, q.High)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
	if r.Others > quiet {
		fmt.Fprintf(w, "  NOT QUIET: other programs took %.0f %% of the cores' time\n", 100*r.Others)
	}
}

// printSeries has the medians, and the quartiles beside them.
func (r *result) printSeries(w io.Writer) {
	for _, s := range r.Series {
		name := s.Name
		if s.At != 0 {
			name = fmt.Sprintf("%s at %g", s.Name, s.At)
		}
		fmt.Fprintf(w, "  %-44s %12.4g %-8s (%.4g to %.4g, %d samples)\n", name, quantile(s.Samples, 0.5), s.Unit,
			quantile(s.Samples, 0.25), quantile(s.Samples, 0.75), len(s.Samples))
	}
}

// save writes the result as dir/NAME.json.
func (r *result) save(dir string) error {
	raw, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".json"), append(raw, '\n'), 0o644)
}

// quantile of samples, 0 of none.
func quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(samples))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}
