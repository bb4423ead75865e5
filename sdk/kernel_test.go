package sdk

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
)

// TestKernel opens one folder with each kernel: Stats name it, and answers are alike.
func TestKernel(t *testing.T) {
	dir := t.TempDir() + "/store"
	p, err := Create(context.Background(), dir, small(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var first []Probability
	for _, kernel := range []string{"portable", "avx2", "avx512", ""} {
		p, err := Open(context.Background(), dir, &Options{Kernel: kernel})
		if errors.Is(err, ErrNoKernel) && strings.HasPrefix(kernel, "avx") {
			t.Logf("%s does not run here", kernel)
			continue
		}
		if err != nil {
			t.Fatalf("%q: %v", kernel, err)
		}
		st, err := p.Stats(context.Background())
		if err != nil || kernel == "portable" && !strings.HasPrefix(st.Kernel, "go") || kernel != "portable" &&
			kernel != "" && st.Kernel != "c-"+kernel {
			t.Errorf("%q: got %q, %v", kernel, st.Kernel, err)
		}
		answer, err := p.Predict(
			t.Context(),
			"nobody",
			"the cat sat on the mat",
			&PredictOptions{Fallback: FallbackBase},
		)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = answer.Probabilities
		}
		for i, q := range answer.Probabilities {
			if d := math.Abs(float64(q.P - first[i].P)); !(d <= 1e-5) {
				t.Errorf("%s: the probability of %s is %g off", st.Kernel, q.Label, d)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
