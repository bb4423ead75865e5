package learner

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// overAxes makes heads see φ of an early block and the last one.
func overAxes(t *testing.T, env *Env, j *Job) {
	t.Helper()
	d, rng := env.Encoder.Hidden(), rand.New(rand.NewPCG(1, 9))
	f := &model.Features{Taps: []int{1, env.Encoder.Blocks()}, Hidden: d, Scale: []float32{0.7, 0.2}}
	h := *j.Head
	h.Hidden, h.W = 2*d, nil
	for range 2 * d {
		f.Mean = append(f.Mean, float32(0.1*rng.NormFloat64()))
	}
	for range 4 * d {
		h.W = append(h.W, float32(0.1*rng.NormFloat64()))
	}
	env.Features, j.Head = f, &h
}

// TestFeatures: under an adapter in the last block a head sees φ of the pass through it, whether
// the part below was kept or not, and of a text that is prepared the same bits.
func TestFeatures(t *testing.T) {
	env, j := lastBlocks(t, 1)
	overAxes(t, &env, &j)
	ctx, c, d := context.Background(), quick(), env.Encoder.Hidden()
	r, err := Learn(ctx, env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := r.Losses[0], r.Losses[len(r.Losses)-1]; !(last < first) {
		t.Errorf("the loss went from %g to %g", first, last)
	}
	none := c
	none.StemBudget = 0
	again, err := Learn(ctx, env, j, none)
	if err != nil || !slices.Equal(again.Losses, r.Losses) {
		t.Errorf("without kept stems: got other losses (%v)", err)
	}
	a, err := env.Bank.Fold(r.Mask, r.Affine)
	if err != nil {
		t.Fatal(err)
	}
	texts := textsOf(j.Train)
	states := make([]float32, 2*d*len(texts))
	if err := env.Engine.Embed(ctx, engine.Rows{Texts: texts}, []*model.Adapter{a}, make([]float32, d*len(texts)),
		env.Features.Taps, states); err != nil {
		t.Fatal(err)
	}
	want := env.Features.Phi(nil, states)
	got, err := Embed(ctx, env, j.Train, a)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got another φ than that of the pass (%v)", err)
	}
	prepared, err := Prepare(ctx, env, j.Train)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = prepared.Pick([]int{3, 1}).Embed(ctx, env, a); err != nil ||
		!slices.Equal(got, slices.Concat(want[6*d:8*d], want[2*d:4*d])) {
		t.Errorf("prepared: got another φ than that of the pass (%v)", err)
	}
}

// TestFeaturesGradient: a step's gradient by LN_b's affine is that of differences of its loss.
func TestFeaturesGradient(t *testing.T) {
	env, j := lastBlocks(t, 1)
	overAxes(t, &env, &j)
	ctx, c := context.Background(), quick()
	c.Nu, c.Head, c.HeadRate = 0, true, 0.01
	r, err := newRun(env, j, c)
	if err == nil {
		err = r.prepare(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := r.inputs.batch([]int{0, 1, 2, 3, 4})
	loss := func() float64 {
		t.Helper()
		l, err := r.trainer.gradient(ctx, b, []float64{0})
		if err != nil {
			t.Fatal(err)
		}
		return float64(l[0])
	}
	loss()
	norm := r.masks.of[0].norm
	grad := slices.Clone(norm.grad)
	for _, i := range []int{0, 5, 23, 30} {
		const h = 1e-2
		x := norm.value[i]
		norm.value[i] = x + h
		up := loss()
		norm.value[i] = x - h
		down := loss()
		norm.value[i] = x
		if want := (up - down) / (2 * h); math.Abs(float64(grad[i])-want) > 2e-4+0.02*math.Abs(want) {
			t.Errorf("value %d: got a gradient of %g, differences say %g", i, grad[i], want)
		}
	}
}

// TestFeaturesRefused: a head over something else, and features that end below the last block.
func TestFeaturesRefused(t *testing.T) {
	env, j := lastBlocks(t, 1)
	old := j.Head
	overAxes(t, &env, &j)
	for name, change := range map[string]func(*Env, *Job){
		"a head over the pooled embedding": func(_ *Env, j *Job) { j.Head = old },
		"no axes":                          func(e *Env, _ *Job) { e.Features = nil },
		"below the last block": func(e *Env, _ *Job) {
			a := *e.Features
			a.Taps = []int{1, 2}
			e.Features = &a
		},
	} {
		e, j := env, j
		change(&e, &j)
		if _, err := Learn(context.Background(), e, j, quick()); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
