package learner

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// lessonOf is a real encoder, a small random bank in the blocks that the engine trains, and two
// kinds of short texts.
func lessonOf(t testing.TB) (Env, Job) {
	t.Helper()
	env := openEnv(t)
	b, err := bank.NewRandom(bank.Properties{Origin: bank.Random, N: 20,
		Blocks: min(env.Encoder.Blocks(), env.Engine.Trains()), Hidden: env.Encoder.Hidden(),
		Bottleneck: 24, NormB: true, Seed: 7, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	env.Bank = b
	tok, err := model.LoadTokenizer(golden.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	j := Job{Head: &model.Head{Labels: []string{"fruit", "metal"}, Hidden: env.Encoder.Hidden(),
		W: make([]float32, 2*env.Encoder.Hidden()),
		B: make([]float32, 2), Counts: make([]uint32, 2)}}
	for i := range j.Head.W {
		j.Head.W[i] = float32(i%7-3) * 0.02
	}
	for i, text := range []string{"a ripe apple", "a bar of iron", "sweet red cherries", "copper wire",
		"a bowl of plums", "melted lead", "peach and pear", "a tin can"} {
		var e Example
		tok.Encode(&e.Text, text, "", 16)
		e.Class, e.Target = i%2, float32(i%2)
		j.Train = append(j.Train, e)
	}
	return env, j
}

// quick is a short run.
func quick() Config {
	c := Default()
	c.K, c.Epochs, c.Batch, c.Seed = 5, 3, 4, 1
	return c
}

// TestModesLearn checks that what a mode trains makes its own training loss fall, and that it
// trains nothing else.
func TestModesLearn(t *testing.T) {
	env, j := lessonOf(t)
	for _, tt := range []struct {
		name   string
		change func(*Config)
	}{
		{"hard masks", func(*Config) {}},
		{"soft masks", func(c *Config) { c.Soft = true }},
		{"masks and head", func(c *Config) { c.Head, c.HeadRate = true, 0.01 }},
		{"single adapter", func(c *Config) { c.Mode, c.Head, c.HeadRate = SingleAdapter, true, 0.005 }},
		{"head only", func(c *Config) { c.Mode, c.Head, c.HeadRate = HeadOnly, true, 0.02 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := quick()
			c.Epochs, c.Nu = 6, 0
			tt.change(&c)
			if c.Mode == SingleAdapter {
				needBlocks(t, env, env.Encoder.Blocks())
			}
			before := j.Head.Clone()
			r, err := Learn(context.Background(), env, j, c)
			if err != nil {
				t.Fatal(err)
			}
			first, last := r.Losses[0]+r.Losses[1], r.Losses[len(r.Losses)-1]+r.Losses[len(r.Losses)-2]
			if !(last < first) {
				t.Errorf("got losses %v, want them to fall", r.Losses)
			}
			if !slices.Equal(before.W, j.Head.W) {
				t.Error("the job's head was written")
			}
			if c.Head == slices.Equal(before.W, r.Head.W) {
				t.Errorf("head trained: got %v, want %v", !c.Head, c.Head)
			}
			if (r.Mask != nil) != (c.Mode == Masks) {
				t.Errorf("mode %s: got mask %v", c.Mode, r.Mask)
			}
		})
	}
}

// TestNewHeads: new heads of one and of two layers can be learned, together with masks, in the
// paper's way but for its rate.
func TestNewHeads(t *testing.T) {
	env, j := lessonOf(t)
	for _, two := range []bool{false, true} {
		j.Head = NewHead([]string{"fruit", "metal"}, env.Encoder.Hidden(), two, 1)
		c := Paper()
		c.K, c.Nu, c.NuEnd, c.MaskRate, c.AffineRate, c.HeadRate = 5, 0, 0, 0.1, 0.01, 0.01
		r, err := Learn(context.Background(), env, j, c)
		if err != nil {
			t.Fatal(err)
		}
		if first, last := r.Losses[0], r.Losses[len(r.Losses)-1]; !(last < first/2) {
			t.Errorf("two layers %v: got losses from %g to %g, want them to halve", two, first, last)
		}
		if two && slices.Equal(r.Head.W1, j.Head.W1) {
			t.Error("the first layer was not trained")
		}
		again := NewHead([]string{"fruit", "metal"}, env.Encoder.Hidden(), two, 1)
		if !slices.Equal(again.W, j.Head.W) || !slices.Equal(again.W1, j.Head.W1) {
			t.Error("one seed gave two heads")
		}
	}
}

// TestOwnRows: of a shared head the profile's own rows alone are trained, without their biases and
// whatever the layers.
func TestOwnRows(t *testing.T) {
	env, j := lessonOf(t)
	for _, two := range []bool{false, true} {
		j.Head, j.Rows = NewHead([]string{"a", "fruit", "metal"}, env.Encoder.Hidden(), two, 1), 2
		for i := range j.Train {
			j.Train[i].Class = 1 + i%2
		}
		c := quick()
		c.Head, c.HeadRate, c.Decay = true, 0.01, 0.1
		r, err := Learn(context.Background(), env, j, c)
		if err != nil {
			t.Fatal(err)
		}
		d, was := j.Head.Hidden, j.Head
		if !slices.Equal(r.Head.W[:d], was.W[:d]) || !slices.Equal(r.Head.B, was.B) ||
			!slices.Equal(r.Head.W1, was.W1) || !slices.Equal(r.Head.B1, was.B1) {
			t.Errorf("two layers %v: what is shared was trained", two)
		}
		if slices.Equal(r.Head.W[d:2*d], was.W[d:2*d]) || slices.Equal(r.Head.W[2*d:], was.W[2*d:]) ||
			!(r.Losses[len(r.Losses)-1] < r.Losses[0]) {
			t.Errorf("two layers %v: the rows were not trained: losses %v", two, r.Losses)
		}
	}
	j.Rows = 3
	if _, err := Learn(context.Background(), env, j, quick()); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v for as many rows as labels, want ErrConfig", err)
	}
}

// TestSameSeedSameBits: rule 6.
func TestSameSeedSameBits(t *testing.T) {
	env, j := lessonOf(t)
	run := func(seed uint64) *Result {
		c := quick()
		c.Seed = seed
		r, err := Learn(context.Background(), env, j, c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b, other := run(1), run(1), run(2)
	if !slices.Equal(a.Losses, b.Losses) || !slices.Equal(a.Logits.Values, b.Logits.Values) ||
		!slices.Equal(a.Affine, b.Affine) || !slices.Equal(a.Bias, b.Bias) {
		t.Error("one seed gave two results")
	}
	if slices.Equal(a.Losses, other.Losses) {
		t.Error("two seeds gave one result")
	}
}

// TestStems: block 0 kept once gives what computing it in each step gives.
func TestStems(t *testing.T) {
	env, j := lessonOf(t)
	c := quick()
	c.Batch = 8 // one batch of all, so both see the same padding
	kept, err := Learn(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	c.StemBudget = 0
	computed, err := Learn(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "losses", kept.Losses, computed.Losses, 1e-5, 0)
}

// TestCancel ends a run within one step, with ctx's error.
func TestCancel(t *testing.T) {
	env, j := lessonOf(t)
	ctx, cancel := context.WithCancel(context.Background())
	steps, c := 0, quick()
	c.Progress = func(p Progress) {
		if steps++; p.Step == 2 {
			cancel()
		}
	}
	if _, err := Learn(ctx, env, j, c); !errors.Is(err, context.Canceled) || steps != 2 {
		t.Errorf("got %v after %d steps, want context.Canceled after 2", err, steps)
	}
	if _, err := Learn(ctx, env, j, quick()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestPatience stops when the held-out loss does not fall, and returns to the best epoch.
func TestPatience(t *testing.T) {
	env, j := lessonOf(t)
	j.Held = slices.Clone(j.Train)
	for i := range j.Held {
		j.Held[i].Class = 1 - j.Held[i].Class // what is learned makes these worse
	}
	c := quick()
	c.Epochs, c.Patience, c.Nu = 10, 2, 0
	r, err := Learn(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Stopped || len(r.Held) >= 10 {
		t.Fatalf("got stopped=%v after %d epochs, want an early stop", r.Stopped, len(r.Held))
	}
	best := slices.MinFunc(r.Held, func(a, b Scores) int {
		if a.Loss < b.Loss {
			return -1
		}
		return 1
	})
	got, err := Evaluate(context.Background(), env, folded(t, env, r), r.Head, r.Bias, j.Held)
	if err != nil {
		t.Fatal(err)
	}
	if d := got.Loss - best.Loss; d > 1e-4 || d < -1e-4 {
		t.Errorf("got a held-out loss of %g, want the best epoch's %g", got.Loss, best.Loss)
	}
}

// folded is the adapter that a result stands for.
func folded(t *testing.T, env Env, r *Result) *model.Adapter {
	t.Helper()
	a, err := env.Bank.Fold(r.Mask, r.Affine)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRegression learns a number.
func TestRegression(t *testing.T) {
	env, j := lessonOf(t)
	d := env.Encoder.Hidden()
	j.Head = &model.Head{Hidden: d, W: make([]float32, d), B: make([]float32, 1), Counts: make([]uint32, 1)}
	c := quick()
	c.Head, c.HeadRate, c.Bias, c.Epochs, c.Nu = true, 0.02, false, 15, 0
	r, err := Learn(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	sc, err := Evaluate(context.Background(), env, folded(t, env, r), r.Head, nil, j.Train)
	if err != nil || sc.Loss > 0.2 { // 0.25 is the variance of the targets
		t.Errorf("got a mean squared error of %g, want less than 0.2 (%v)", sc.Loss, err)
	}
}

// TestStart continues where another run ended.
func TestStart(t *testing.T) {
	env, j := lessonOf(t)
	c := quick()
	c.MaskRate, c.AffineRate, c.BiasRate = 0, 0, 0
	start := NewLogits(20, env.Bank.Properties().Blocks)
	for i := range start.Values {
		start.Values[i] = float32(i % 11)
	}
	j.Start = Start{Logits: start, Bias: []float32{0.5, -0.5}}
	r, err := Learn(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Logits.Values, start.Values) || !slices.Equal(r.Bias, j.Start.Bias) {
		t.Error("with rates of 0 the result is not the start")
	}
	if &r.Logits.Values[0] == &start.Values[0] {
		t.Error("the caller's logits are trained in place")
	}
	want, err := start.Mask(c.K)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Mask.Bytes(), want.Bytes()) {
		t.Error("the mask is not the start's")
	}
}

// TestBadJobs are errors before any work.
func TestBadJobs(t *testing.T) {
	env, good := lessonOf(t)
	for _, tt := range []struct {
		name   string
		change func(*Env, *Job, *Config)
	}{
		{"no examples", func(_ *Env, j *Job, _ *Config) { j.Train = nil }},
		{"no head", func(_ *Env, j *Job, _ *Config) { j.Head = nil }},
		{"class out of range", func(_ *Env, j *Job,
			_ *Config) {
			j.Train = []Example{{Text: j.Train[0].Text, Class: 2}}
		}},
		{"no tokens", func(_ *Env, j *Job, _ *Config) { j.Train = []Example{{}} }},
		{"prior of another length", func(_ *Env, j *Job, _ *Config) { j.Prior = []float32{1} }},
		{"start of another shape", func(_ *Env, j *Job, _ *Config) { j.Start.Logits = NewLogits(3, 1) }},
		{"affine of another shape", func(_ *Env, j *Job, _ *Config) { j.Start.Affine = []float32{1} }},
		{"k beyond N", func(_ *Env, _ *Job, c *Config) { c.K = 21 }},
		{"more blocks than the bank has", func(_ *Env, _ *Job, c *Config) { c.Top = 7 }},
		{"no epochs", func(_ *Env, _ *Job, c *Config) { c.Epochs = 0 }},
		{"τ of 0", func(_ *Env, _ *Job, c *Config) { c.Tau = 0 }},
		{"mode", func(_ *Env, _ *Job, c *Config) { c.Mode = "lora" }},
		{"no bank", func(e *Env, _ *Job, _ *Config) { e.Bank = nil }},
	} {
		e, j, c := env, good, quick()
		tt.change(&e, &j, &c)
		if _, err := Learn(context.Background(), e, j, c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", tt.name, err)
		}
	}
}
