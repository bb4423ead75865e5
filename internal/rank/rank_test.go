package rank

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/numeric"
)

const (
	axes    = 12
	perAxis = 2
)

// made are choices of a person with z, among four candidates each.
func made(seed uint64, n int, z []float64) []Choice {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]Choice, n)
	for i := range out {
		for range 4 {
			row := make([]float64, axes)
			for j := range row {
				row[j] = rng.NormFloat64()
			}
			out[i].Rows, out[i].Base = append(out[i].Rows, row), append(out[i].Base, rng.NormFloat64())
		}
		p := out[i].scores(z)
		numeric.Softmax(p)
		for at := rng.Float64() - p[0]; at > 0; at -= p[out[i].Chosen] {
			out[i].Chosen++
		}
	}
	return out
}

func planted() []float64 {
	z := make([]float64, axes)
	for j := range z {
		z[j] = 1.5 * float64(j%3-1)
	}
	return z
}

func TestLossGradient(t *testing.T) {
	c := made(1, 1, planted())[0]
	for _, size := range []int{axes, axes + 1} {
		z, g := make([]float64, size), make([]float64, size)
		for j := range z {
			z[j] = 0.1 * float64(j-4)
		}
		c.Loss(z, g)
		for j := range z {
			const h = 1e-5
			z[j] += h
			up, _ := c.Loss(z, nil)
			z[j] -= 2 * h
			down, _ := c.Loss(z, nil)
			z[j] += h
			if want := (up - down) / (2 * h); math.Abs(g[j]-want) > 1e-7 {
				t.Errorf("number %d of %d: got %g, want %g", j, size, g[j], want)
			}
		}
	}
}

// TestLearnPlanted: a person who has a taste is learned, one who chooses as the base says is not.
func TestLearnPlanted(t *testing.T) {
	ctx := context.Background()
	test := made(3, 2000, planted())
	res, err := Learn(ctx, made(2, 120, planted()), axes, perAxis, nil)
	if err != nil || res.Row == nil {
		t.Fatalf("got %+v, %v, want a row", res, err)
	}
	var got, base, best Score
	for i := range test {
		got.Add(&test[i], Values(res.Row, res.Scale, axes, perAxis), len(test))
		base.Add(&test[i], make([]float64, axes), len(test))
		best.Add(&test[i], planted(), len(test))
	}
	t.Logf("loss of others: %.3f by the base, %.3f by the row, %.3f by the truth; out of fold %.3f", base.Loss,
		got.Loss, best.Loss, res.After.Loss)
	if got.Loss > best.Loss+0.35*(base.Loss-best.Loss) || math.Abs(res.After.Loss-got.Loss) > 0.2 {
		t.Errorf("got a loss of %.3f, and %.3f out of fold; the base has %.3f, the truth %.3f", got.Loss, res.After.Loss,
			base.Loss, best.Loss)
	}
	rows := 0
	for seed := range uint64(40) {
		res, err := Learn(ctx, made(100+seed, 30, make([]float64, axes)), axes, perAxis, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Row != nil {
			rows++
		}
	}
	if t.Logf("%d of 40 people without a taste have a row", rows); rows > 12 {
		t.Errorf("got %d of 40 people without a taste with a row", rows)
	}
}

func TestLearnFew(t *testing.T) {
	ctx := context.Background()
	for n := range 3 {
		if res, err := Learn(ctx, made(5, n, planted()), axes, perAxis, nil); err != nil || n < 2 && res.Row != nil {
			t.Errorf("%d choices: got %+v, %v", n, res, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Learn(ended, made(5, 20, planted()), axes, perAxis, nil); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestRoundTrip: values reads what digits.Round writes.
func TestRoundTrip(t *testing.T) {
	row, scale := digits.Round(planted(), perAxis)
	got := Values(row, scale, axes, perAxis)
	for j, want := range planted() {
		if math.Abs(got[j]-want) > digits.Scale(scale)/4 {
			t.Errorf("number %d: got %g, want %g", j, got[j], want)
		}
	}
}
