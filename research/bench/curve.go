package main

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/research/plot"
)

// curve is the samples of one thing at several places.
type curve struct {
	name, unit string
	points     []series // by place
}

// curves are the series that have a place, in the order in which they first came.
func (r *result) curves() (all []curve) {
	for _, s := range r.Series {
		if s.At == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(c curve) bool { return c.name == s.Name })
		if i < 0 {
			i = len(all)
			all = append(all, curve{name: s.Name, unit: s.Unit})
		}
		all[i].points = append(all[i].points, s)
	}
	for _, c := range all {
		slices.SortFunc(c.points, func(a, b series) int { return cmp.Compare(a.At, b.At) })
	}
	return all
}

// exponent is the p of a·xᵖ that fits the medians best.
func (c curve) exponent() (p float64, ok bool) {
	var x, y []float64
	for _, s := range c.points {
		x, y = append(x, s.At), append(y, quantile(s.Samples, 0.5))
	}
	return exponent(x, y)
}

// exponent is the slope of the line through (log x, log y) with the least squared error; ok is
// false for fewer than two places, or for a value that has no logarithm.
func exponent(x, y []float64) (p float64, ok bool) {
	n := float64(len(x))
	var sx, sy, sxx, sxy float64
	for i := range x {
		if !(x[i] > 0) || !(y[i] > 0) {
			return 0, false
		}
		u, v := math.Log(x[i]), math.Log(y[i])
		sx, sy, sxx, sxy = sx+u, sy+v, sxx+u*u, sxy+u*v
	}
	d := n*sxx - sx*sx
	if len(x) < 2 || d <= 1e-12*n*sxx {
		return 0, false
	}
	return (n*sxy - sx*sy) / d, true
}

// draw saves a picture of each unit's curves as dir/bench-NAME.png and .svg, the unit in the name
// if there are several, and returns the files' names without their ends.
func (r *result) draw(dir string) (names []string, err error) {
	byUnit := map[string][]plot.Line{}
	var units []string
	for _, c := range r.curves() {
		if len(c.points) < 2 {
			continue
		}
		if byUnit[c.unit] == nil {
			units = append(units, c.unit)
		}
		byUnit[c.unit] = append(byUnit[c.unit], c.line())
	}
	for _, unit := range units {
		name := "bench-" + r.Name
		if len(units) > 1 {
			name += "-" + strings.NewReplacer("/", "-per-", "µ", "u", " ", "-").Replace(unit)
		}
		picture, err := plot.Growth(r.Name, orDefault(r.X, "at"), unit, byUnit[unit])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		for _, end := range []string{".png", ".svg"} {
			if err := picture.Save(filepath.Join(dir, name+end)); err != nil {
				return nil, err
			}
		}
		names = append(names, name)
	}
	return names, nil
}

func (c curve) line() plot.Line {
	l := plot.Line{Name: c.name}
	if p, ok := c.exponent(); ok {
		l.Name = fmt.Sprintf("%s: x^%.2f", c.name, p)
	}
	for _, s := range c.points {
		l.X, l.Y = append(l.X, s.At), append(l.Y, quantile(s.Samples, 0.5))
		l.Low, l.High = append(l.Low, quantile(s.Samples, 0.25)), append(l.High, quantile(s.Samples, 0.75))
	}
	return l
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
