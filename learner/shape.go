package learner

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// Standard deviations of a shaped adapter's coefficients along each direction that the head reads:
// Down's, which LN_b takes out, and Up's default.
const (
	shapedSigmaA  = 0.1
	defaultShaped = 0.4
)

// shapedRows are random adapters that read and write only what a head sees: Down's columns and Up's
// rows are random combinations of the directions in which the head tells its labels apart, at most
// C − 1 of them, instead of all d. A mask over so few dimensions can steer an answer with tens of
// adapters; over a plain random bank nearly all of what it can do is invisible to the head. Nothing
// is trained and nothing is known of any profile but the head. It makes sense in the last block,
// whose states are what is pooled. sigmaB is the standard deviation of Up's coefficients along each
// direction: how far a mask can move a state. The same head and seed give the same bits on one type
// of machine.
func shapedRows(h *model.Head, p bank.Properties, sigmaB float64, seed uint64) (bank.RowFunc, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if h.Hidden%p.Hidden != 0 || h.W1 != nil || h.Outputs() < 2 || p.Bias {
		return nil, fmt.Errorf("%w: a bank of d=%d cannot be shaped by this head: want a linear one of two labels "+
			"or more over the states of blocks of as many values", ErrConfig, p.Hidden)
	}
	directions := headDirections(h, p.Hidden)
	row := make([]float32, p.Elems())
	return func(side bank.Side, block, adapter int) ([]float32, []float32, error) {
		rng := rand.New(rand.NewPCG(seed, uint64(side)<<56|uint64(block)<<40|uint64(adapter)))
		sum := make([]float64, p.Hidden)
		for unit := range p.Bottleneck {
			clear(sum)
			for _, u := range directions {
				g := rng.NormFloat64()
				for j, x := range u {
					sum[j] += float64(g * x)
				}
			}
			for j, x := range sum {
				if side == bank.Down {
					row[j*p.Bottleneck+unit] = float32(shapedSigmaA * x)
				} else {
					row[unit*p.Hidden+j] = float32(sigmaB * x)
				}
			}
		}
		return row, nil, nil
	}, nil
}

// headDirections is an orthonormal basis of the differences between the head's labels in the last
// block's d values (modified Gram–Schmidt, twice).
func headDirections(h *model.Head, d int) [][]float64 {
	C, mean := h.Outputs(), make([]float64, d)
	at := func(c, j int) float64 { return float64(h.W[(c+1)*h.Hidden-d+j]) }
	for i := range C * d {
		mean[i%d] += at(i/d, i%d) / float64(C)
	}
	var basis [][]float64
	for c := range C {
		v, size := make([]float64, d), 0.0
		for j := range v {
			v[j] = at(c, j) - mean[j]
			size += float64(v[j] * v[j])
		}
		for range 2 {
			for _, u := range basis {
				along := dot(u, v)
				for j := range v {
					v[j] -= float64(along * u[j])
				}
			}
		}
		left := math.Sqrt(dot(v, v))
		if left <= 1e-6*math.Sqrt(size) || left == 0 {
			continue // what the last one adds, and labels that the head cannot tell apart
		}
		for j := range v {
			v[j] /= left
		}
		basis = append(basis, v)
	}
	return basis
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += float64(a[i] * b[i])
	}
	return sum
}
