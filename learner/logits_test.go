package learner

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSoftmaxBackward(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n, tau, h = 7, 0.7, 1e-3
	z, dy := make([]float32, n), make([]float32, n)
	for i := range z {
		z[i], dy[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64())
	}
	loss := func() (sum float64) {
		y := make([]float32, n)
		softmaxInto(y, z, tau)
		for i := range y {
			sum += float64(y[i]) * float64(dy[i])
		}
		return sum
	}
	y, dz := make([]float32, n), make([]float32, n)
	softmaxInto(y, z, tau)
	softmaxBackward(dz, y, dy, tau)
	for i := range z {
		at := z[i]
		z[i] = at + h
		up := loss()
		z[i] = at - h
		down := loss()
		z[i] = at
		if want := (up - down) / (2 * h); math.Abs(float64(dz[i])-want) > 1e-3 {
			t.Errorf("∂/∂z[%d]: got %g, want %g", i, dz[i], want)
		}
	}
}

func TestFromMaskIsItsOwnMask(t *testing.T) {
	g := NewLogits(40, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range g.Values {
		g.Values[i] = float32(rng.NormFloat64())
	}
	m, err := g.Mask(9)
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromMask(m).Mask(9)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Equal(again) {
		t.Errorf("got another mask, want the same")
	}
}

func TestMaskRefusesNaN(t *testing.T) {
	g := NewLogits(8, 1)
	g.Values[11] = float32(math.NaN())
	if _, err := g.Mask(2); err == nil {
		t.Error("got a mask of NaN logits")
	}
}

// TestGumbel compares the draws' mean and variance with γ and π²/6.
func TestGumbel(t *testing.T) {
	draws := make([]float32, 200_000)
	gumbel(draws, rand.New(rand.NewPCG(5, 6)))
	mean, sq := 0.0, 0.0
	for _, g := range draws {
		mean += float64(g)
		sq += float64(g) * float64(g)
	}
	mean /= float64(len(draws))
	variance := sq/float64(len(draws)) - mean*mean
	if math.Abs(mean-0.5772) > 0.02 || math.Abs(variance-math.Pi*math.Pi/6) > 0.04 {
		t.Errorf("got mean %g and variance %g, want 0.577 and 1.645", mean, variance)
	}
}

func TestSchedule(t *testing.T) {
	s := Config{WarmUp: 0.2, Nu: 1, NuEnd: 0}.schedule(10)
	if first, top, last := s.rate(0), s.rate(2), s.rate(9); !(first < top && top == 1 && last > 0 && last < 0.2) {
		t.Errorf("got rates %g, %g, %g at steps 0, 2, 9", first, top, last)
	}
	if s.noise(0) != 1 || s.noise(9) != 0 {
		t.Errorf("got noise %g … %g, want 1 … 0", s.noise(0), s.noise(9))
	}
	paper := Paper().schedule(10)
	if paper.rate(0) != 1 || paper.noise(9) != 1 {
		t.Errorf("the paper's schedule: got rate %g at the first step and noise %g at the last, want 1 and 1",
			paper.rate(0), paper.noise(9))
	}
}
