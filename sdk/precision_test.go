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
	auto := model.AutoPrecision()
	here := map[string]bool{"bfloat16": auto == "bfloat16", "int16": auto != "float32", "int8": auto != "float32"}
	for _, v := range []struct {
		kernel, precision, want string
		most                    float64
	}{{"", "", "float32", 0}, {"", "int16", "int16", 2e-3}, {"", "int8", "int8", 0.1}, {"", "auto", auto, 1e-2},
		{"", "bfloat16", "bfloat16", 1e-2}, {"portable", "int8", "float32", 1e-5}} {
		st, got := inPrecision(t, dir, v.kernel, v.precision)
		if !here[v.want] {
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
		if !(off <= v.most) || off == 0 && v.want != "float32" {
			t.Errorf("%q: probabilities are %g off, want at most %g, and not nothing below float32",
				v.precision, off, v.most)
		}
	}
	if _, err := Open(t.Context(), dir, &Options{Precision: "int4"}); !errors.Is(err, ErrConfig) ||
		!strings.Contains(err.Error(), "none of float32") {
		t.Errorf("int4: got %v, want ErrConfig that says what there is", err)
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
