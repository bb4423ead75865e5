package eval

import (
	"math"
	"strings"
	"testing"
)

// TestComparePrecisions: an answer that changed counts by its margin in float32, in either
// direction.
func TestComparePrecisions(t *testing.T) {
	exact := []answered{
		{"a", true, 0.1, 0.9, 0.8},
		{"a", false, 1, 0.52, 0.04},
		{"b", true, 0.5, 0.53, 0.06},
		{"b", true, 0.5, 0.6, 0.2},
	}
	other := []answered{
		{"a", true, 0.1, 0.9, 0.8},
		{"b", true, 0.5, 0.51, 0.02},
		{"a", false, 1.004, 0.51, 0.02},
		{"b", true, 0.5, 0.61, 0.22},
	}
	r := comparePrecisions("s", "int8", exact, other)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: got %g, want %g", what, got, want)
		}
	}
	near("accuracy", r.Accuracy, 75)
	near("gain", r.Gain.Mean, 0)
	near("loss", r.Loss, 2.1/4)
	near("gain of the loss", r.LossGain.Mean, 0.001)
	near("changed", r.Changed, 0.5)
	near("margin", r.Margin, 0.06)
	near("moved", r.MovedMost, 0.02)
	if r.N != 4 || r.Above != 1 || r.Meets {
		t.Errorf("got %d answers, %d above, meets %v; want 4, 1, false", r.N, r.Above, r.Meets)
	}
	if r := comparePrecisions("s", "int8", exact[:2], other[:2]); r.Above != 0 || r.Meets { // 50 points
		t.Errorf("got %d above, meets %v; want 0, false", r.Above, r.Meets)
	}
	if r := comparePrecisions("s", "int16", exact, exact); !r.Meets ||
		!strings.Contains(PrecisionMarkdown([]PrecisionRow{r}), "| s | int16 | 4 |") {
		t.Errorf("the same answers: got %+v", r)
	}
}
