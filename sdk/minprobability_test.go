package sdk

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMinProbability: a margin is between the first two; below the minimum there is no label,
// unless it was taught.
func TestMinProbability(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	teach(t, p, "ann")
	out := mustPredict(t, p, "ann", "the disk is full")
	var ps []float64
	for _, x := range out.Probabilities {
		ps = append(ps, float64(x.P))
	}
	slices.Sort(ps)
	top := ps[len(ps)-1]
	if want := float32(top) - float32(ps[len(ps)-2]); out.Margin != want || out.Label != out.Model || out.Margin <= 0 {
		t.Errorf("got a margin of %g and %+v, want %g", out.Margin, out, want)
	}
	none := out
	none.Label = ""
	for least, want := range map[float64]Prediction{0: out, top - 1e-6: out, top: out, top + 1e-6: none, 1: none} {
		if got := mustPredict(t, p, "ann", "the disk is full", PredictOptions{MinProbability: least}); !cmp.Equal(
			got,
			want,
		) {
			t.Errorf("at least %g: got %+v, want %+v", least, got, want)
		}
	}
	wantTaught(t, "taught", p, "ann", corrected.Text, "ignore")
	if got := mustPredict(t, p, "ann", corrected.Text, PredictOptions{MinProbability: 1}); got.Label != "ignore" ||
		got.Source != SourceTaught {
		t.Errorf("taught: got %+v, want ignore all the same", got)
	}
	for _, bad := range []float64{-0.01, 1.01, math.NaN(), math.Inf(1)} {
		_, err := p.Predict(ctx, "ann", "x", &PredictOptions{MinProbability: bad})
		wantError(t, fmt.Sprint("a minimum of ", bad), err, ErrConfig)
	}
	rows, err := p.PredictBatch(ctx,
		[]Request{{Profile: "ann", Text: "the disk is full", MinProbability: 1},
			{Profile: "ann", Text: "x", MinProbability: 2}, {Base: true, Text: "the disk is full"}})
	if err != nil || rows[0].Label != "" || rows[0].Model != out.Model || rows[2].Err != nil ||
		rows[2].Label != rows[2].Model {
		t.Errorf("batch: got %+v, %v", rows, err)
	}
	wantError(t, "a row of the batch", rows[1].Err, ErrConfig)

	mustLearn(t, p, "nina", numbers(10), &LearnOptions{Head: NumberHead, Config: quick().Config})
	if got, want := mustPredict(t, p, "nina", "a", PredictOptions{MinProbability: 1}),
		mustPredict(t, p, "nina", "a"); !cmp.Equal(got, want) {
		t.Errorf("a number: got %+v, want %+v", got, want)
	}
}
