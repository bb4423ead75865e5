package axes

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
)

// madeStates gives the texts states that vary along each value with its own strength, in directions
// that are turned, around a mean. The spectrum falls as that of sentences does.
func madeStates(config Config) func(context.Context, []string) ([]float32, error) {
	return func(_ context.Context, texts []string) ([]float32, error) {
		dim := len(config.Taps) * config.Hidden
		x := gaussians(5, 9, len(texts)*dim)
		for i := range x {
			x[i] *= 3 / (1 + float64(i%dim)/3)
		}
		turn := gaussians(6, 9, dim*dim)
		orthonormalise(turn, dim)
		states := make([]float32, 0, len(x))
		for i, v := range timesTransposed(x, turn, dim) {
			states = append(states, float32(v+math.Sin(float64(i%dim))))
		}
		return states, nil
	}
}

func testConfig() Config {
	return Config{Taps: []int{1, 2, 4}, Hidden: 20, Count: 12, Digits: 2,
		Words: strings.Fields("one two three four five"), Seed: 3}
}

func TestCompute(t *testing.T) {
	c := testConfig()
	states := madeStates(c)
	a, err := compute(context.Background(), c, states)
	if err != nil {
		t.Fatal(err)
	}
	all, _ := states(context.Background(), make([]string, axesStrings))
	dim, phi := a.Dim(), a.Phi(nil, all)

	for i := range a.Count() {
		for j := range a.Count() {
			got, want := float64(dot(a.V[i*dim:][:dim], a.V[j*dim:][:dim])), 0.0
			if i == j {
				want = 1
			}
			if math.Abs(got-want) > 2e-3 { // of float16
				t.Errorf("axis %d times axis %d: got %g, want %g", i, j, got, want)
			}
		}
	}
	if got := meanSquare(phi, len(all)/dim); math.Abs(got-1) > 1e-4 {
		t.Errorf("mean square of φ: got %g, want 1", got)
	}
	variance, mean := make([]float64, a.Count()), 0.0
	for i, p := range a.Project(nil, phi) {
		variance[i%a.Count()] += float64(p) * float64(p)
	}
	for _, v := range variance {
		mean += v / float64(a.Count())
	}
	for j, v := range variance {
		if v > 4*mean || v < mean/4 {
			t.Errorf("axis %d: got variance %g of the mean, want it flat", j, v/mean)
		}
	}
	checkSpan(t, a, phi)

	again, err := compute(context.Background(), c, states)
	if err != nil || !cmp.Equal(a, again) {
		t.Errorf("again: got other axes, %v", err)
	}
	c.Seed++
	if other, err := compute(context.Background(), c, states); err != nil || cmp.Equal(a.V, other.V) {
		t.Errorf("of another seed: got the same axes, %v", err)
	}
}

func meanSquare(x []float32, n int) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v) / float64(n)
	}
	return sum
}

// checkSpan compares the span of the axes with that of the principal axes, found one by one by
// many powers of what is left of the covariance.
func checkSpan(t *testing.T, a *Axes, phi []float32) {
	t.Helper()
	dim := a.Dim()
	cov := make([]float64, dim*dim)
	for x := phi; len(x) > 0; x = x[dim:] {
		for i := range dim {
			for j := range dim {
				cov[i*dim+j] += float64(x[i]) * float64(x[j])
			}
		}
	}
	for j := range a.Count() {
		v := gaussians(uint64(j), 11, dim)
		var value float64
		for range 3000 {
			v = timesTransposed(v, cov, dim)
			value = math.Sqrt(square(v))
			for i := range v {
				v[i] /= value
			}
		}
		inside := 0.0 // the square of what of v is in the span
		for k := range a.Count() {
			var onto float64
			for i, x := range v {
				onto += x * float64(a.V[k*dim+i])
			}
			inside += onto * onto
		}
		if math.Abs(inside-1) > 5e-3 {
			t.Errorf("principal axis %d: got %g of it in the span, want 1", j, inside)
		}
		for i := range dim {
			for k := range dim {
				cov[i*dim+k] -= value * v[i] * v[k]
			}
		}
	}
}

func TestRandomStrings(t *testing.T) {
	words := strings.Fields("one two three four five")
	texts, counts := randomStrings(words, 1), map[string]int{}
	for _, text := range texts {
		fields := strings.Split(text, " ")
		if len(fields) != axesWords {
			t.Fatalf("got %q, want %d words", text, axesWords)
		}
		for _, w := range fields {
			counts[w]++
		}
	}
	for _, w := range words {
		if got, want := counts[w], axesStrings*axesWords/len(words); got < want*9/10 || got > want*11/10 {
			t.Errorf("%q: got %d times, want about %d", w, got, want)
		}
	}
	if len(texts) != axesStrings || cmp.Equal(texts, randomStrings(words, 2)) {
		t.Errorf("got %d texts, want %d, others for another seed", len(texts), axesStrings)
	}
}

func TestComputeAxesRefuses(t *testing.T) {
	broken := errors.New("broken")
	constant := func(_ context.Context, texts []string) ([]float32, error) {
		return make([]float32, len(texts)*60),
			nil
	}
	short := make([]float32, 100*60)
	for i := range short {
		short[i] = float32(i % 67)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		states func(context.Context, []string) ([]float32, error)
		want   error
	}{
		"no words":        {func(c *Config) { c.Words = nil }, nil, bank.ErrInvalid},
		"no axes":         {func(c *Config) { c.Count = 0 }, nil, bank.ErrInvalid},
		"too many axes":   {func(c *Config) { c.Count = 61 }, nil, bank.ErrInvalid},
		"a negative tap":  {func(c *Config) { c.Taps[0] = -1 }, nil, bank.ErrInvalid},
		"no digits":       {func(c *Config) { c.Digits = 0 }, nil, bank.ErrInvalid},
		"an error":        {nil, func(context.Context, []string) ([]float32, error) { return nil, broken }, broken},
		"too few states":  {nil, func(context.Context, []string) ([]float32, error) { return short, nil }, bank.ErrInvalid},
		"constant states": {nil, constant, bank.ErrInvalid},
	} {
		config := testConfig()
		if c.change != nil {
			c.change(&config)
		}
		if a, err := compute(context.Background(), config, c.states); !errors.Is(err, c.want) || a != nil {
			t.Errorf("%s: got %v, %v, want %v", name, a, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := compute(ctx, testConfig(), madeStates(testConfig())); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
}

// TestComputeAxesFewer: states that vary along three directions have three axes.
func TestComputeAxesFewer(t *testing.T) {
	x := gaussians(4, 9, axesStrings*3)
	basis := gaussians(5, 9, 60*3)
	a, err := compute(context.Background(), testConfig(), func(context.Context, []string) ([]float32, error) {
		var states []float32
		for _, v := range timesTransposed(x, basis, 3) {
			states = append(states, float32(v))
		}
		return states, nil
	})
	if err != nil || a.Count() != 3 {
		t.Errorf("got %v axes, %v, want 3", a, err)
	}
}

// BenchmarkComputeAxes is of MiniLM's shape, without its passes.
func BenchmarkCompute(b *testing.B) {
	c := Config{Taps: []int{3, 4, 5, 6}, Hidden: 384, Count: 192, Digits: 2, Words: []string{"a"}}
	all := make([]float32, axesStrings*4*384)
	for i, v := range gaussians(1, 9, len(all)) {
		all[i] = float32(v / (1 + float64(i%1536)/32))
	}
	for b.Loop() {
		if _, err := compute(context.Background(),
			c, func(context.Context, []string) ([]float32, error) { return all, nil }); err != nil {
			b.Fatal(err)
		}
	}
}
