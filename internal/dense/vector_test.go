package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/half"
)

func TestDotAxpy(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := range 135 {
			a, b, alpha := random(rng, n), random(rng, n), float32(rng.NormFloat64())
			sum, magnitude := 0.0, 0.0
			for i := range a {
				sum, magnitude = sum+float64(a[i])*float64(b[i]), magnitude+math.Abs(float64(a[i])*float64(b[i]))
			}
			near(t, fmt.Sprintf("Dot of %d", n), Dot(a, b), sum, magnitude, n)
			y := slices.Clone(a)
			Axpy(y, alpha, b)
			for i := range y {
				want := float64(a[i]) + float64(alpha)*float64(b[i])
				near(t, fmt.Sprintf("Axpy of %d", n), y[i], want, math.Abs(float64(a[i]))+math.Abs(want), 1)
			}
		}
	})
}

// TestMean wants the same bits from floats, halves, and sums one value after another, with the
// kernels and without.
func TestMean(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, width := range []int{1, 7, 8, 21, 1024, 2051} {
			const rows = 9
			halves, floats := make([]uint16, rows*width), make([]float32, rows*width)
			for i := range halves {
				for halves[i] = uint16(rng.Uint32()); halves[i]&0x7c00 == 0x7c00; { // finite
					halves[i] = uint16(rng.Uint32())
				}
				floats[i] = half.To(halves[i])
			}
			for n := range rows + 1 {
				ids := make([]int32, n)
				for i := range ids {
					ids[i] = rng.Int32N(rows)
				}
				got, same := random(rng, width), random(rng, width)
				Mean(got, floats, ids)
				MeanHalf(same, halves, ids)
				for j := range got {
					if want := meanAt(floats, ids, width, j); got[j] != want || same[j] != want {
						t.Fatalf("%d rows of %d values: got %v and of halves %v, want %v", n, width, got[j], same[j],
							want)
					}
				}
			}
		}
	})
}

// meanAt is value j of a mean, in the order that is promised.
func meanAt(table []float32, ids []int32, width, j int) (sum float32) {
	at := func(i int) float32 { return table[int(ids[i])*width+j] }
	i := 0
	for ; i+4 <= len(ids); i += 4 {
		sum += (at(i) + at(i+1)) + (at(i+2) + at(i+3))
	}
	for ; i < len(ids); i++ {
		sum += at(i)
	}
	if len(ids) == 0 {
		return 0
	}
	return sum / float32(len(ids))
}
