package rank

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Directions are those along which people's own orders differ most, the first first: [r][A], r at
// most that many. They are principal axes of the people's fits, each as long as the fits' standard
// deviation along it, so that a person's numbers on them are about one.
func Directions(ctx context.Context, people [][]Choice, axes, most int) ([][]float64, error) {
	spread := make([]float64, axes*axes)
	for _, choices := range people {
		z := make([]float64, axes)
		if err := Fit(ctx, choices, center, z); err != nil {
			return nil, err
		}
		for i, v := range z {
			numeric.Add(spread[i*axes:][:axes], v/float64(len(people)), z)
		}
	}
	values, vectors := numeric.Eigen(spread, axes)
	var out [][]float64
	for k := 0; k < most && k < axes && values[k] > 1e-9*values[0]; k++ {
		d := make([]float64, axes)
		numeric.Add(d, math.Sqrt(values[k]), vectors[k*axes:][:axes])
		out = append(out, d)
	}
	return out, nil
}

// along is how choices are seen where a person has a number for each direction only; without
// directions, as they are.
func along(choices []Choice, directions [][]float64) []Choice {
	if len(directions) == 0 {
		return choices
	}
	seen, out := map[*float64][]float64{}, make([]Choice, len(choices))
	for i, c := range choices {
		out[i] = Choice{Base: c.Base, Chosen: c.Chosen}
		for _, row := range c.Rows {
			short := seen[&row[0]]
			if short == nil {
				for _, d := range directions {
					short = append(short, numeric.Dot(d, row))
				}
				seen[&row[0]] = short
			}
			out[i].Rows = append(out[i].Rows, short)
		}
	}
	return out
}

// onAxes are numbers on the directions as numbers on the axes.
func onAxes(z []float64, directions [][]float64) []float64 {
	if len(directions) == 0 {
		return z
	}
	out := make([]float64, len(directions[0]))
	for k, d := range directions {
		numeric.Add(out, z[k], d)
	}
	return out
}

// Over are choices with what z says, and its last number of the base, in their base.
func Over(choices []Choice, z []float64) []Choice {
	out := make([]Choice, len(choices))
	for i, c := range choices {
		out[i] = Choice{Rows: c.Rows, Base: c.scores(z), Chosen: c.Chosen}
	}
	return out
}

// Halves are the choices among one half of their candidates, and among the other: none is in both.
// A choice is left out where what was chosen stands alone or is in the other half.
func Halves(choices []Choice) (halves [2][]Choice) {
	side := map[*float64]int{}
	for _, c := range choices {
		var parts [2]Choice
		home := -1
		for i, row := range c.Rows {
			s, known := side[&row[0]]
			if !known {
				s = len(side) / 2 % 2 // two by two, so that choices between two stay whole
				side[&row[0]] = s
			}
			if i == c.Chosen {
				home, parts[s].Chosen = s, len(parts[s].Rows)
			}
			parts[s].Rows, parts[s].Base = append(parts[s].Rows, row), append(parts[s].Base, c.Base[i])
		}
		if len(parts[home].Rows) > 1 {
			halves[home] = append(halves[home], parts[home])
		}
	}
	return halves
}
