package learner

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

// manyJobs are jobs of 1, 3, 4 and 7 examples, with and without a prior; own gives each a head of
// its own, of 2 to 5 labels.
func manyJobs(t testing.TB, j Job, own bool) (jobs []Job) {
	t.Helper()
	for i, n := range []int{1, 3, 4, 7} {
		next := j
		next.Train = nil
		for k := range n {
			next.Train = append(next.Train, j.Train[(3*i+k)%len(j.Train)])
		}
		if i%2 == 1 {
			next.Prior = []float32{0.3, -0.2}
		}
		if own {
			next.Head = NewHead([]string{"fruit", "metal", "c", "d", "e"}[:2+i], j.Head.Hidden, false, uint64(i))
			next.Prior = nil
		}
		jobs = append(jobs, next)
	}
	return jobs
}

// wantAlone compares what was found for each of many jobs with what Learn finds for it.
func wantAlone(t *testing.T, env Env, jobs []Job, c Config) {
	t.Helper()
	got, err := LearnMany(context.Background(), env, jobs, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, j := range jobs {
		want, err := Learn(context.Background(), env, j, c)
		if err != nil || got[i].Err != nil {
			t.Fatalf("job %d: got %v, alone %v", i, got[i].Err, err)
		}
		golden.Near(t, "losses", got[i].Result.Losses, want.Losses, 1e-4, 0)
		golden.Near(t, "logits", got[i].Result.Logits.Values, want.Logits.Values, 1e-3, 0)
		golden.Near(t, "bias", got[i].Result.Bias, want.Bias, 1e-3, 0)
		golden.Near(t, "head", got[i].Result.Head.W, want.Head.W, 1e-3, 0)
		if got[i].Result.Steps != want.Steps || got[i].Result.Trained != want.Trained ||
			got[i].Result.Stopped != want.Stopped || len(got[i].Result.Held) != len(want.Held) {
			t.Errorf("job %d: got %d steps, %d values, stopped %v after %d looks; alone %d, %d, %v, %d",
				i, got[i].Result.Steps, got[i].Result.Trained, got[i].Result.Stopped,
				len(got[i].Result.Held), want.Steps, want.Trained, want.Stopped, len(want.Held))
		}
	}
}

// TestManyAreAsAlone: ragged examples, schedules that end one before another, shared and own heads,
// priors, biases, noise, and a step too small for all.
func TestManyAreAsAlone(t *testing.T) {
	env, j := lessonOf(t)
	c := quick()
	c.Nu = 0
	for _, tt := range []struct {
		name   string
		own    bool
		change func(*Config, []Job)
	}{
		{"shared head", false, func(c *Config, _ []Job) { c.Epochs = 10 }}, // ten steps of one batch, twenty of two
		{"own heads", true, func(c *Config, _ []Job) { c.Epochs, c.Head, c.HeadRate, c.Bias = 10, true, 0.01, false }},
		{"own heads, frozen", true, func(*Config, []Job) {}},
		{"rows of their own", true, func(c *Config, jobs []Job) {
			c.Epochs, c.Head, c.HeadRate = 10, true, 0.01
			for i := range jobs[1:] {
				jobs[1+i].Rows = 1 + i
			}
		}},
		{"noise", false, func(c *Config, _ []Job) { c.Nu = 0.3 }},
		{"one mask, soft, length buckets", false, func(c *Config, _ []Job) { c.Soft, c.OneMask, c.LengthBuckets = true, true, 2 }},
		{"frozen affine, few steps", false, func(c *Config, _ []Job) { c.Affine, c.FullStepsAt = false, 4 }},
		{"three runs", false, func(c *Config, _ []Job) { c.Runs, c.Epochs = 3, 2 }},
		{"patience", false, func(c *Config, jobs []Job) {
			c.Patience, c.Epochs = 2, 6
			jobs[2].Held, jobs[3].Held = jobs[3].Train[:2], slices.Clone(jobs[3].Train)
			for i := range jobs[3].Held {
				jobs[3].Held[i].Class = 1 - jobs[3].Held[i].Class
			}
		}},
		{"no stems kept", false, func(c *Config, _ []Job) { c.StemBudget = 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, jobs := c, manyJobs(t, j, tt.own)
			tt.change(&c, jobs)
			wantAlone(t, env, jobs, c)
		})
	}
}

// TestManyShareTexts: jobs that share texts, prepared once, find what each finds alone, and their
// answers are those of the whole encoder; what was prepared otherwise is refused.
func TestManyShareTexts(t *testing.T) {
	ctx := context.Background()
	env, j := lastBlocks(t, 0)
	c := quick()
	c.Top, c.Nu = min(2, env.Engine.Trains()), 0
	all, err := PrepareFor(ctx, env, j.Train, c)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []Job
	for _, which := range [][]int{{0, 1, 2, 3, 4}, {3, 4, 5, 6, 7}, {7, 0}} {
		next := j
		next.Train, next.Prepared = nil, all.Pick(which)
		for _, i := range which {
			next.Train = append(next.Train, j.Train[i])
		}
		jobs = append(jobs, next)
	}
	got, err := LearnMany(ctx, env, jobs, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, next := range jobs {
		next.Prepared = nil
		want, err := Learn(ctx, env, next, c)
		if err != nil || got[i].Err != nil {
			t.Fatalf("job %d: got %v, alone %v", i, got[i].Err, err)
		}
		golden.Near(t, "losses", got[i].Result.Losses, want.Losses, 1e-4, 0)
		golden.Near(t, "logits", got[i].Result.Logits.Values, want.Logits.Values, 1e-3, 0)
		a := folded(t, env, got[i].Result)
		upper, err := all.Embed(ctx, env, a)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Embed(ctx, env, j.Train, a)
		if err != nil {
			t.Fatal(err)
		}
		golden.Near(t, "embeddings", upper, whole, 1e-5, 0)
	}
	deeper := c
	deeper.Top = 0
	other := jobs[0]
	other.Train = other.Train[1:]
	for name, try := range map[string]struct {
		job Job
		c   Config
	}{"other blocks": {jobs[0], deeper}, "other texts": {other, c}} {
		if _, err := LearnMany(ctx, env, []Job{try.job}, try.c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// TestManyTop: over a bank in all blocks the last ones alone are trained.
func TestManyTop(t *testing.T) {
	env, j := lastBlocks(t, 0)
	c := quick()
	c.Top, c.Nu = min(2, env.Engine.Trains()), 0
	wantAlone(t, env, manyJobs(t, j, false), c)
}

// TestManyKinds: heads of numbers, of labels and of two layers share a step; more jobs than a step
// has room for take turns.
func TestManyKinds(t *testing.T) {
	env, j := lessonOf(t)
	d := env.Encoder.Hidden()
	jobs := manyJobs(t, j, true)
	jobs[0].Head = NewHead(nil, d, false, 3)
	jobs[1].Head = NewHead([]string{"fruit", "metal"}, d, true, 4)
	jobs[2].Head = NewHead(nil, d, false, 5)
	for i := range 40 { // of 4 rows each
		next := jobs[3]
		next.Head = NewHead([]string{"fruit", "metal", "c"}, d, false, uint64(i))
		next.Train = j.Train[i%5 : i%5+4]
		jobs = append(jobs, next)
	}
	c := quick()
	c.Head, c.HeadRate, c.Bias, c.Nu, c.Epochs = true, 0.01, false, 0, 2
	wantAlone(t, env, jobs, c)
}

// TestManyRefused: a job that cannot be learned is named before any work.
func TestManyRefused(t *testing.T) {
	env, j := lessonOf(t)
	jobs := manyJobs(t, j, false)
	jobs[2].Train = []Example{{Text: j.Train[0].Text, Class: 2}}
	c := quick()
	c.Progress = func(Progress) { t.Error("a step was taken") }
	_, err := LearnMany(context.Background(), env, jobs, c)
	var je *JobError
	if !errors.As(err, &je) || je.Job != 2 || !errors.Is(err, ErrConfig) {
		t.Errorf("got %v, want a *JobError of job 2 and ErrConfig", err)
	}
	c.Mode = HeadOnly
	if _, err := LearnMany(context.Background(), env, jobs, c); !errors.Is(err, ErrConfig) {
		t.Errorf("head_only: got %v, want ErrConfig", err)
	}
	if out, err := LearnMany(context.Background(), env, nil, quick()); err != nil || len(out) != 0 {
		t.Errorf("no jobs: got %v, %v", out, err)
	}
}

// TestManyCancel ends a run within a step, with ctx's error.
func TestManyCancel(t *testing.T) {
	env, j := lessonOf(t)
	jobs, c := manyJobs(t, j, false), quick()
	ctx, cancel := context.WithCancel(context.Background())
	var seen []int
	c.Progress = func(p Progress) {
		if seen = append(seen, p.Job); p.Step == 2 {
			cancel()
		}
	}
	if _, err := LearnMany(ctx, env, jobs, c); !errors.Is(err, context.Canceled) ||
		!slices.Equal(seen, []int{0, 1, 2, 3, 0, 1, 2, 3}) {
		t.Errorf("got %v after steps of %v, want context.Canceled after two of each", err, seen)
	}
}

// TestManyDiverge: numbers that are none stay with the profile that has them.
func TestManyDiverge(t *testing.T) {
	env, j := lessonOf(t)
	jobs, c := manyJobs(t, j, false), quick()
	c.Nu = 0
	p := env.Bank.Properties()
	bad := slices.Repeat([]float32{math.MaxFloat32}, p.AffineElems())
	jobs[1].Start.Affine = bad
	got, err := LearnMany(context.Background(), env, jobs, c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		if i == 1 {
			if got[i].Err == nil || got[i].Result != nil {
				t.Errorf("job 1: got %v, want an error and no result", got[i])
			}
			continue
		}
		want, err := Learn(context.Background(), env, jobs[i], c)
		if err != nil {
			t.Fatal(err)
		}
		golden.Near(t, "losses beside one that diverges", got[i].Result.Losses, want.Losses, 1e-4, 0)
	}
	if _, err := Learn(context.Background(), env, jobs[1], c); err == nil {
		t.Error("alone: got no error")
	}
}
