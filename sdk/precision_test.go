package sdk

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// inPrecision answers out of a folder, on the CPU.
func inPrecision(t *testing.T, dir, kernel, precision string) (Stats, []Probability) {
	t.Helper()
	p := open(t, dir, &Options{Kernel: kernel, Precision: precision, Device: "cpu", NoTaught: true})
	defer func() { _ = p.Close() }()
	st, err := p.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Predict(t.Context(), "dana", "the cat sat on the mat", &PredictOptions{Fallback: FallbackBase})
	if err != nil {
		t.Fatal(err)
	}
	return st, answer.Probabilities
}

// TestPrecision opens one folder in each precision: Stats name it, answers are alike, and a kernel
// that has float32 only serves in that.
func TestPrecision(t *testing.T) {
	c := small(t)
	c.Options.Device = "cpu"
	dir := filepath.Join(t.TempDir(), "store")
	p, err := Create(t.Context(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	mustLearn(t, p, "dana", examples(12, 0), forced())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, exact := inPrecision(t, dir, "", "float32")
	whole := model.AutoPrecision() != "float32"
	for _, v := range []struct {
		kernel, precision, want string
		most                    float64
	}{{"", "", "float32", 0}, {"", "int16", "int16", 2e-3}, {"", "int8", "int8", 0.1}, {"", "auto", "int16", 2e-3},
		{"portable", "int8", "float32", 1e-5}} {
		st, got := inPrecision(t, dir, v.kernel, v.precision)
		if !whole {
			v.want = "float32"
		}
		if st.Precision != v.want {
			t.Errorf("%q, %q: got answers in %s, want %s", v.kernel, v.precision, st.Precision, v.want)
		}
		off := 0.
		for _, q := range got {
			i := slices.IndexFunc(exact, func(e Probability) bool { return e.Label == q.Label })
			off = max(off, math.Abs(float64(q.P-exact[i].P)))
		}
		if !(off <= v.most) || off == 0 && strings.HasPrefix(v.want, "int") {
			t.Errorf("%q: probabilities are %g off, want at most %g, and not nothing in whole numbers",
				v.precision, off, v.most)
		}
	}
	for precision, why := range map[string]string{"bfloat16": "half of float32's rate", "int4": "none of float32"} {
		if _, err := Open(t.Context(), dir, &Options{Precision: precision}); !errors.Is(err, ErrConfig) ||
			!strings.Contains(err.Error(), why) {
			t.Errorf("%s: got %v, want ErrConfig that says %q", precision, err, why)
		}
	}
}

// TestLearnInFloat32: whatever the answers' precision is, a profile is learned in float32, and
// judged so when it learns again.
func TestLearnInFloat32(t *testing.T) {
	for _, masks := range []bool{true, false} {
		var first []Probability
		for _, precision := range []string{"float32", "int8"} {
			c := small(t)
			c.Masks, c.Options.Device, c.Options.Precision = masks, "cpu", precision
			if !masks {
				c.Bank, c.K = nil, 0
			}
			dir := filepath.Join(t.TempDir(), "store")
			p, err := Create(t.Context(), dir, c)
			if err != nil {
				t.Fatal(err)
			}
			mustLearn(t, p, "dana", examples(12, 0), forced())
			report := mustLearn(t, p, "dana", examples(15, 1), nil)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			_, got := inPrecision(t, dir, "", "float32")
			got = append(got, Probability{P: float32(report.Before.Loss)})
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) {
				t.Errorf("masks %v: learned beside answers in %s: got %v, want %v", masks, precision, got, first)
			}
		}
	}
}
