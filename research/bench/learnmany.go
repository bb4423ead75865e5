package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// manyProfiles is how many profiles are learned, each from manyTexts texts, all of them in each of
// its steps.
const manyProfiles, manyTexts = 32, 4

// benchLearnMany compares learning many profiles in joint steps with learning one after another, in
// all blocks where the engine trains them and by the recipe of the last block, and says how far
// their losses are apart over ten steps without noise.
func benchLearnMany(ctx context.Context, v env) (result, error) {
	r := result{Name: "learnmany",
		What: fmt.Sprintf("%d profiles of %d headlines each, T ≤ 64, learned together and one by one; hard masks, "+
			"N=150, k=50", manyProfiles, manyTexts)}
	s, err := open(v.model)
	if err != nil {
		return r, err
	}
	defer s.close()
	d := s.enc.Hidden()
	// frozen, and not all zeros: masks must matter
	jobs := manyJobs(v, s.tok, learner.NewHead(head(15, d).Labels, d, false, 1))
	for _, blocks := range slices.Compact([]int{s.engine.Trains(), 1}) {
		b, err := learnBank(150, blocks, d)
		if err != nil {
			return r, err
		}
		env := s.env(b)
		name, c := fmt.Sprintf("%d blocks", blocks), learner.Default()
		if blocks == 1 {
			name, c = "last block", learner.LastBlocks()
		}
		c.Batch, c.Nu = manyTexts, 0
		if err := manyRounds(ctx, v, &r, env, jobs, name, c); err != nil {
			return r, err
		}
		b.Close()
	}
	return r, nil
}

// manyRounds checks the losses of ten steps, then times steps. Without v.full the check takes fewer
// profiles, and a timed run one step of the larger kind.
func manyRounds(ctx context.Context, v env, r *result, env learner.Env, jobs []learner.Job, name string,
	c learner.Config) error {
	ten := c
	ten.FullStepsAt, ten.Epochs = 0, 10
	check := jobs
	if !v.full {
		check = jobs[:8]
		if c.FullStepsAt == 0 {
			c.Updates = 1
		}
	}
	most, err := apart(ctx, env, check, ten)
	if err != nil {
		return err
	}
	r.Notes = append(r.Notes, fmt.Sprintf(
		"%s: losses of %d profiles over ten steps, together and alone: largest difference %.2g (promised: 1e-4)",
		name, len(check), most))
	if most > 1e-4 {
		return fmt.Errorf("%s: losses together and alone differ by %g", name, most)
	}
	together, alone := name+", together", name+", one by one"
	for range v.rounds {
		began := time.Now()
		if _, err := learner.LearnMany(ctx, env, jobs, c); err != nil {
			return err
		}
		r.add(together, "profiles/s", 0, float64(len(jobs))/time.Since(began).Seconds())
		began = time.Now()
		for _, j := range jobs {
			if _, err := learner.Learn(ctx, env, j, c); err != nil {
				return err
			}
		}
		r.add(alone, "profiles/s", 0, float64(len(jobs))/time.Since(began).Seconds())
	}
	r.compare(name+": together over one by one", together, alone, "≥ 1.30")
	return nil
}

// apart is the largest difference between the losses of jobs that are learned together and alone.
func apart(ctx context.Context, env learner.Env, jobs []learner.Job, c learner.Config) (most float64, err error) {
	many, err := learner.LearnMany(ctx, env, jobs, c)
	if err != nil {
		return 0, err
	}
	for i, j := range jobs {
		one, err := learner.Learn(ctx, env, j, c)
		if err != nil {
			return 0, err
		}
		if many[i].Err != nil {
			return 0, fmt.Errorf("job %d: %w", i, many[i].Err)
		}
		if got := len(many[i].Result.Losses); got != 10 || len(one.Losses) != 10 {
			return 0, fmt.Errorf("job %d: %d steps together, %d alone, want 10", i, got, len(one.Losses))
		}
		if one.Losses[0] == one.Losses[9] {
			return 0, fmt.Errorf("job %d: nothing was learned in ten steps", i)
		}
		for k, l := range one.Losses {
			most = max(most, math.Abs(float64(l-many[i].Result.Losses[k])))
		}
	}
	return most, nil
}

func manyJobs(v env, tok *model.Tokenizer, h *model.Head) []learner.Job {
	jobs := make([]learner.Job, manyProfiles)
	for i := range jobs {
		jobs[i] = learner.Job{Head: h, Train: encoded(tok, v.texts, i*manyTexts, manyTexts)}
	}
	return jobs
}
