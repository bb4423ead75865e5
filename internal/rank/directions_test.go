package rank

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// people have orders that differ along one direction only.
func people(seed uint64, n, each int, direction []float64) (all [][]Choice, places []float64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	for i := range n {
		place := rng.NormFloat64()
		z := make([]float64, axes)
		numeric.Add(z, place, direction)
		all, places = append(all, made(seed+uint64(i), each, z)), append(places, place)
	}
	return all, places
}

// TestDirections: the direction along which people differ is found, and a person's few choices are
// worth more on it than on all axes.
func TestDirections(t *testing.T) {
	ctx, truth := context.Background(), planted()
	all, _ := people(1, 60, 20, truth)
	got, err := Directions(ctx, all, axes, 4)
	if err != nil || len(got) != 4 {
		t.Fatalf("got %d directions, %v, want 4", len(got), err)
	}
	cosine := numeric.Dot(got[0], truth) / math.Sqrt(numeric.Dot(got[0], got[0])*numeric.Dot(truth, truth))
	if math.Abs(cosine) < 0.95 {
		t.Errorf("the first has a cosine of %.3f with the one along which they differ", cosine)
	}
	own, places := people(1000, 30, 6, truth)
	var free, placed Score
	for i := range own {
		z := make([]float64, axes)
		numeric.Add(z, places[i], truth)
		test := made(5000+uint64(i), 200, z)
		for k, s := range []*Score{&free, &placed} {
			res, err := Learn(ctx, own[i], axes, perAxis, got[:k])
			if err != nil {
				t.Fatal(err)
			}
			for j := range test {
				s.Add(&test[j], Values(res.Row, res.Scale, axes, perAxis), len(test)*len(own))
			}
		}
	}
	t.Logf("loss %.3f by a number for each axis, %.3f by a place on the direction", free.Loss, placed.Loss)
	if placed.Loss > free.Loss-0.02 {
		t.Errorf("a place on the direction has a loss of %.3f, a number for each axis %.3f", placed.Loss, free.Loss)
	}
}

// TestHalves: no candidate is in both halves, and each choice that is left has what was chosen and
// another.
func TestHalves(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	rows := make([][]float64, 12)
	for i := range rows {
		rows[i] = []float64{float64(i)}
	}
	var all []Choice
	for range 50 {
		c := Choice{Chosen: rng.IntN(4)}
		for _, i := range rng.Perm(len(rows))[:4] {
			c.Rows, c.Base = append(c.Rows, rows[i]), append(c.Base, rows[i][0])
		}
		all = append(all, c)
	}
	side, left := map[float64]int{}, 0
	for s, half := range Halves(all) {
		if len(half) == 0 {
			t.Errorf("half %d is empty", s)
		}
		for _, c := range half {
			left++
			if len(c.Rows) < 2 || len(c.Base) != len(c.Rows) || c.Chosen >= len(c.Rows) {
				t.Fatalf("got %+v", c)
			}
			for i, row := range c.Rows {
				if was, known := side[row[0]]; known && was != s || c.Base[i] != row[0] {
					t.Fatalf("candidate %v is in both halves, or has another's base", row)
				}
				side[row[0]] = s
			}
		}
	}
	if left < 25 {
		t.Errorf("%d of 50 choices are left", left)
	}
}

// TestOver: what an order says is the same in the base as beside it.
func TestOver(t *testing.T) {
	choices, z := made(1, 5, planted()), append(planted(), 0.5)
	for i, c := range Over(choices, z) {
		want, _ := choices[i].Loss(z, nil)
		if got, _ := c.Loss(make([]float64, axes), nil); math.Abs(got-want) > 1e-12 {
			t.Errorf("choice %d: got a loss of %g, want %g", i, got, want)
		}
	}
}
