package rank

import (
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/numeric"
)

// Result is what was learned of a person.
type Result struct {
	Row    []byte // digits; nil: the base alone is better
	Scale  byte   // of Row, see digits.Scale
	Before Score  // of the base alone
	After  Score  // of rounded rows, each asked about choices that it was not learned from
}

// strengths are the λ that are tried, the strongest first; folds how many parts the choices are
// dealt into.
var strengths = []float64{6, 2, 0.6, 0.2, 0.06, 0.02}

const folds = 5

// Learn finds a person's row: a number for each axis or, if there are directions, a place on these.
// Fewer than two choices give none.
func Learn(ctx context.Context, choices []Choice, axes, perAxis int, directions [][]float64) (*Result, error) {
	res, n := &Result{}, len(choices)
	for i := range choices {
		res.Before.Add(&choices[i], make([]float64, axes), n)
	}
	if n < 2 {
		return res, ctx.Err()
	}
	seen, numbers := along(choices, directions), axes
	if len(directions) > 0 {
		numbers = len(directions)
	}
	parts := min(folds, n)
	trained := make([][][]float64, parts)
	for f := range parts {
		var err error
		if trained[f], err = path(ctx, without(seen, f, parts), numbers); err != nil {
			return nil, err
		}
	}
	weights := weigh(seen, trained)
	for f := range parts {
		row, scale := digits.Round(onAxes(mean(trained[f], weights), directions), perAxis)
		z := Values(row, scale, axes, perAxis)
		for i := f; i < n; i += parts {
			res.After.Add(&choices[i], z, n)
		}
	}
	if weights[len(strengths)] >= 0.5 || !(res.After.Loss < res.Before.Loss) {
		return res, nil
	}
	all, err := path(ctx, seen, numbers)
	if err != nil {
		return nil, err
	}
	res.Row, res.Scale = digits.Round(onAxes(mean(all, weights), directions), perAxis)
	return res, nil
}

// without are the choices that a fold learns from: every one but each parts-th.
func without(choices []Choice, f, parts int) (out []Choice) {
	for i, c := range choices {
		if i%parts != f {
			out = append(out, c)
		}
	}
	return out
}

// path is the fit at each strength, each from the one before.
func path(ctx context.Context, choices []Choice, axes int) (zs [][]float64, err error) {
	z := make([]float64, axes)
	for _, lambda := range strengths {
		if err := Fit(ctx, choices, lambda, z); err != nil {
			return nil, err
		}
		zs = append(zs, slices.Clone(z))
	}
	return zs, nil
}

// What is known of λ beforehand, in nats, is what package digits knows of it.
const (
	center = 0.3
	decade = 2
	alone  = 0.5
)

// weigh is how much each strength counts, and last the base alone: by its loss out of fold, which
// stands for its likelihood, and by what is known beforehand.
func weigh(choices []Choice, trained [][][]float64) []float64 {
	weights := make([]float64, len(strengths)+1)
	zero := make([]float64, len(trained[0][0]))
	for i := range choices {
		for k := range strengths {
			loss, _ := choices[i].Loss(trained[i%len(trained)][k], nil)
			weights[k] -= loss
		}
		loss, _ := choices[i].Loss(zero, nil)
		weights[len(strengths)] -= loss
	}
	for k, lambda := range strengths {
		away := math.Log10(lambda / center)
		weights[k] -= decade * away * away
	}
	weights[len(strengths)] -= alone
	numeric.Softmax(weights)
	return weights
}

// mean is that of the fits; the base alone adds zeros.
func mean(zs [][]float64, weights []float64) []float64 {
	out := make([]float64, len(zs[0]))
	for k, z := range zs {
		numeric.Add(out, weights[k], z)
	}
	return out
}

// Values are the numbers on the axes that a row stands for; no row stands for zeros.
func Values(row []byte, scale byte, axes, perAxis int) []float64 {
	z := make([]float64, axes)
	if scale == 0 {
		return z
	}
	for j := range z {
		for m := range perAxis {
			bit := j*perAxis + m
			sign := float64(2*int(row[bit/8]>>(bit%8)&1) - 1)
			z[j] += sign * math.Exp2(-float64(m+1)) * digits.Scale(scale)
		}
	}
	return z
}
