package learner

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/model"
)

// TestThreads: one seed gives the same bits on any number of threads.
func TestThreads(t *testing.T) {
	ctx := context.Background()
	env, j := lastBlocks(t, 1)
	bankEnv, bankJob, bc := bankJobOf(t)
	c := quick()
	c.Head, c.HeadRate = true, 0.01
	jobs := manyJobs(t, j, true)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first []float32
	for _, threads := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(threads)
		r, err := Learn(ctx, env, j, c)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.Concat(r.Losses, r.Logits.Values, r.Affine, r.Bias, r.Head.W)
		many, err := LearnMany(ctx, env, jobs, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range many {
			found = slices.Concat(found, o.Result.Losses, o.Result.Logits.Values, o.Result.Head.W)
		}
		b, err := TrainBank(ctx, bankEnv, bankJob, bc)
		if err != nil {
			t.Fatal(err)
		}
		row, _, _ := b.Row(0, 0, 1)
		found = slices.Concat(found, b.Losses, b.Population.Values, b.Head.W, row)
		if first == nil {
			first = found
		}
		if !slices.Equal(found, first) {
			t.Errorf("%d threads found something else than one", threads)
		}
	}
}

// TestUntrainable: adapters in more blocks than the engine trains are refused before any work.
func TestUntrainable(t *testing.T) {
	ctx := context.Background()
	env, j := lastBlocks(t, 2)
	env.Engine = untouched{native.New(env.Encoder), t}
	c, single := quick(), quick()
	single.Mode = SingleAdapter
	for name, c := range map[string]Config{"masks in two blocks": c, "single adapter": single} {
		if _, err := Learn(ctx, env, j, c); !errors.Is(err, engine.ErrUntrainable) {
			t.Errorf("%s: got %v, want ErrUntrainable", name, err)
		}
	}
	var je *JobError
	if _, err := LearnMany(ctx, env, []Job{j}, c); !errors.As(err, &je) || !errors.Is(err, engine.ErrUntrainable) {
		t.Errorf("many: got %v, want a *JobError of ErrUntrainable", err)
	}
	_, bankJob, bc := bankJobOf(t)
	bc.Blocks = 2
	if _, err := TrainBank(ctx, env, bankJob, bc); !errors.Is(err, engine.ErrUntrainable) {
		t.Errorf("a bank: got %v, want ErrUntrainable", err)
	}
}

// untouched fails a test that computes.
type untouched struct {
	engine.Engine
	t *testing.T
}

func (u untouched) Stems(ctx context.Context, texts []model.Encoding, from int, taps []int,
	states []float32) ([][]float32, error) {
	u.t.Error("stems were computed")
	return u.Engine.Stems(ctx, texts, from, taps, states)
}
