package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// markdown is a section: the command and the machine, what is promised, medians, curves.
func (r *result) markdown(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\nWhat: %s.\n\n", r.Name, strings.TrimSuffix(r.What, "."))
	fmt.Fprintf(w, "`%s`, %s, %d × %s%s.\n\n", r.Command, r.Go, r.CPUs, r.CPU, r.disturbed())
	if r.Name == peersName {
		r.peersTable(w)
		r.ratioTable(w)
	} else {
		r.ratioTable(w)
		r.seriesTable(w)
	}
	r.curveTable(w)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "* %s\n", n)
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w)
	}
}

// disturbed says how busy other programs kept the machine.
func (r *result) disturbed() string {
	switch {
	case r.Others < 0:
		return ""
	case r.Others <= quiet:
		return fmt.Sprintf("; other programs took %.1f %% of the cores' time", 100*r.Others)
	}
	return fmt.Sprintf("; **not quiet: other programs took %.0f %% of the cores' time**", 100*r.Others)
}

func (r *result) ratioTable(w io.Writer) {
	if len(r.Ratios) == 0 {
		return
	}
	fmt.Fprint(w, "| ratio of medians | measured | quartiles of the rounds | promised | |\n|---|---|---|---|---|\n")
	for _, q := range r.Ratios {
		fmt.Fprintf(w, "| %s | %.3f | %.3f to %.3f | %s | %s |\n", q.Name, q.Value, q.Low, q.High, q.Bound, q.verdict())
	}
	fmt.Fprintln(w)
}

// verdict says whether the bound is met; nothing if there is none.
func (q ratio) verdict() string {
	sign, number, _ := strings.Cut(q.Bound, " ")
	bound, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || sign != "≤" && sign != "≥":
		return ""
	case sign == "≤" && q.Value <= bound, sign == "≥" && q.Value >= bound:
		return "met"
	}
	return "**not met**"
}

// seriesTable has what has no place on a curve.
func (r *result) seriesTable(w io.Writer) {
	none := true
	for _, s := range r.Series {
		if s.At != 0 {
			continue
		}
		if none {
			fmt.Fprint(w, "| | median | quartiles | | samples |\n|---|---|---|---|---|\n")
			none = false
		}
		fmt.Fprintf(w, "| %s | %s | %s to %s | %s | %d |\n", s.Name, figure(quantile(s.Samples, 0.5)),
			figure(quantile(s.Samples, 0.25)), figure(quantile(s.Samples, 0.75)), s.Unit, len(s.Samples))
	}
	if !none {
		fmt.Fprintln(w)
	}
}

// curveTable has a column a curve, a row a place, and the fitted exponents below.
func (r *result) curveTable(w io.Writer) {
	curves := r.curves()
	if len(curves) == 0 {
		return
	}
	var places []float64
	head, rule := "| "+orDefault(r.X, "at"), "|---"
	for _, c := range curves {
		head, rule = head+fmt.Sprintf(" | %s, %s", c.name, c.unit), rule+"|---"
		for _, s := range c.points {
			places = append(places, s.At)
		}
	}
	slices.SortFunc(places, cmp.Compare)
	fmt.Fprintf(w, "%s |\n%s|\n", head, rule)
	for _, at := range slices.Compact(places) {
		fmt.Fprintf(w, "| %s", figure(at))
		for _, c := range curves {
			cell := ""
			if i := slices.IndexFunc(c.points, func(s series) bool { return s.At == at }); i >= 0 {
				cell = figure(quantile(c.points[i].Samples, 0.5))
			}
			fmt.Fprintf(w, " | %s", cell)
		}
		fmt.Fprint(w, " |\n")
	}
	fmt.Fprint(w, "| **fitted exponent**")
	for _, c := range curves {
		cell := ""
		if p, ok := c.exponent(); ok {
			cell = fmt.Sprintf("**%.2f**", p)
		}
		fmt.Fprintf(w, " | %s", cell)
	}
	fmt.Fprint(w, " |\n\n")
}

// figure has three digits, or all before the point, in groups of three.
func figure(x float64) string {
	if a := math.Abs(x); a < 1000 || a >= 1e15 {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	s := strconv.FormatInt(int64(math.Round(x)), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
