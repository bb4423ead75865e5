package native

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/enginetest"
	"github.com/xpeft/xpeft/model"
)

// TestGradientWindows: the loss of a text of several windows sees what Embed makes of it, so that
// what is learned is what is served, by the pooled embedding and by the last states.
func TestGradientWindows(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	rng, ctx, d := rand.New(rand.NewPCG(1, 2)), context.Background(), enc.Hidden()
	texts := longTexts(rng)[:4]
	texts[2].Windows = []int32{int32(len(texts[2].IDs)) - 9, 9}
	a := []*model.Adapter{kinds()[15].adapter(rng, d, 8)}
	r := engine.Rows{Texts: texts, Owner: make([]int, len(texts)), From: enc.Blocks() - 1}
	x, states := make([]float32, len(texts)*d), make([]float32, len(texts)*d)
	if err := New(enc).Embed(ctx, r, a, x, []int{enc.Blocks()}, states); err != nil {
		t.Fatal(err)
	}
	for _, taps := range [][]int{nil, {enc.Blocks()}} {
		_, err := New(enc).Gradient(ctx, r, a, taps, func(row int, got, _ []float32) {
			for j, v := range got {
				if want := x[row*d+j]; math.Abs(float64(v-want)) > 1e-5 || states[row*d+j] != want {
					t.Errorf("taps %v, text %d: the loss sees %g, Embed gives %g", taps, row, v, want)
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
