package learner

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/golden"
)

// lastBlocks is lessonOf over a bank in the encoder's last blocks only.
// blocks of 0 are all of them.
func lastBlocks(t *testing.T, blocks int) (Env, Job) {
	t.Helper()
	env, j := lessonOf(t)
	p := env.Bank.Properties()
	if p.Blocks = blocks; blocks == 0 {
		p.Blocks = env.Encoder.Blocks()
	}
	b, err := bank.NewRandom(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	env.Bank = b
	return env, j
}

// TestLastBlocks: over a bank of one block what was prepared once gives the same losses and
// embeddings as what is computed in each step.
func TestLastBlocks(t *testing.T) {
	env, j := lastBlocks(t, 1)
	ctx, c := context.Background(), quick()
	kept, err := Learn(ctx, env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	if kept.Mask.Blocks != 1 || len(kept.Affine) != env.Bank.Properties().AffineElems() {
		t.Errorf("got a mask of %d blocks", kept.Mask.Blocks)
	}
	prepared, err := Prepare(ctx, env, j.Train)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LearnPrepared(ctx, env, prepared, Job{Head: j.Head}, c)
	if err != nil {
		t.Fatal(err)
	}
	c.StemBudget = 0
	each, err := Learn(ctx, env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range kept.Losses {
		if kept.Losses[i] != again.Losses[i] || math.Abs(float64(kept.Losses[i]-each.Losses[i])) > 1e-4 {
			t.Fatalf("step %d: got losses %g, %g, %g", i, kept.Losses[i], again.Losses[i], each.Losses[i])
		}
	}
	other, _ := lastBlocks(t, 2)
	if _, err := LearnPrepared(ctx, other, prepared, Job{Head: j.Head}, c); !errors.Is(err, ErrConfig) {
		t.Errorf("prepared for another bank: got %v", err)
	}
}

func TestOneMask(t *testing.T) {
	env, j := lastBlocks(t, 1)
	c := quick()
	c.OneMask, c.Epochs = true, 6
	r, err := Learn(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	half := len(r.Logits.Values) / 2
	if !slices.Equal(r.Logits.Values[:half], r.Logits.Values[half:]) {
		t.Error("the two sides' logits differ")
	}
	if !slices.Equal(r.Mask.Row(bitmask.Down, 0), r.Mask.Row(bitmask.Up, 0)) {
		t.Error("the two sides' masks differ")
	}
	c.OneMask = false
	if r, err = Learn(context.Background(), env, j, c); err != nil ||
		slices.Equal(r.Logits.Values[:half], r.Logits.Values[half:]) {
		t.Errorf("two masks are one (%v)", err)
	}
}

func TestUpdates(t *testing.T) {
	env, j := lastBlocks(t, 1)
	c := quick()
	c.Updates = 3 // the epochs would take 6
	if r, err := Learn(context.Background(), env, j, c); err != nil || r.Steps != 3 {
		t.Errorf("got %+v (%v), want 3 steps", r, err)
	}
}

// TestEnough: fewer examples than are enough take a quadratic share of the steps, at least one.
func TestEnough(t *testing.T) {
	c := LastBlocks() // 20 epochs in batches of 4, 8 are enough
	for n, want := range map[int]int{1: 1, 2: 2, 4: 10, 7: 30, 8: 40, 9: 60, 40: 200} {
		if got := c.steps(n); got != want {
			t.Errorf("%d examples: got %d steps, want %d", n, got, want)
		}
	}
	c.FullStepsAt = 0
	if got := c.steps(1); got != c.Epochs {
		t.Errorf("got %d steps, want %d", got, c.Epochs)
	}
}

// TestRuns: several runs are those with their own seeds, averaged.
func TestRuns(t *testing.T) {
	env, j := lastBlocks(t, 1)
	ctx, c := context.Background(), quick()
	c.Bias = true
	var mean []float32
	for i := range 2 {
		one := c
		one.Seed += uint64(i)
		r, err := Learn(ctx, env, j, one)
		if err != nil {
			t.Fatal(err)
		}
		if mean == nil {
			mean = make([]float32, len(r.Logits.Values))
		}
		for n, x := range r.Logits.Values {
			mean[n] += x / 2
		}
	}
	c.Runs = 2
	steps := 0
	c.Progress = func(p Progress) { steps = p.Step }
	r, err := Learn(ctx, env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	for n, x := range r.Logits.Values {
		if math.Abs(float64(x-mean[n])) > 1e-6 {
			t.Fatalf("logit %d: got %g, want the mean %g", n, x, mean[n])
		}
	}
	if steps != r.Steps || r.Steps != 12 {
		t.Errorf("got %d steps, the last progress said %d; want 12", r.Steps, steps)
	}
	c.Head = true
	if _, err := Learn(ctx, env, j, c); !errors.Is(err, ErrConfig) {
		t.Errorf("an average of heads: got %v", err)
	}
}

// TestTop: only the last blocks are trained; below, the logits stay, and the adapter does nothing:
// folded with the others it gives what was trained.
func TestTop(t *testing.T) {
	env, j := lastBlocks(t, 0)
	p := env.Bank.Properties()
	start := NewLogits(p.N, p.Blocks)
	for i := range start.Values {
		start.Values[i] = float32(i%13) * 0.1
	}
	j.Start = Start{Logits: start.clone()}
	c := quick()
	c.Top, c.Epochs, c.Nu = min(2, env.Engine.Trains()), 6, 0
	r, x, err := LearnAndEmbed(context.Background(), env, j, c, j.Train)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := r.Losses[0]+r.Losses[1], r.Losses[len(r.Losses)-1]+r.Losses[len(r.Losses)-2]; !(last < first) {
		t.Errorf("got losses %v, want them to fall", r.Losses)
	}
	below := p.Blocks - c.Top
	for l := range p.Blocks {
		for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
			if same := slices.Equal(r.Logits.Row(side, l), start.Row(side, l)); same != (l < below) {
				t.Errorf("logits of %v in block %d: moved %t", side, l, !same)
			}
		}
		if zero := !slices.ContainsFunc(r.Affine[l*2*p.Bottleneck:(l+1)*2*p.Bottleneck],
			func(x float32) bool { return x != 0 }); zero != (l < below) {
			t.Errorf("affine of block %d: all zero %t", l, zero)
		}
	}
	if want := 2*c.Top*(p.N+p.Bottleneck) + 2; r.Trained != want {
		t.Errorf("got %d trained values, want %d", r.Trained, want)
	}
	served, err := Embed(context.Background(), env, j.Train, folded(t, env, r))
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "embeddings", served, x, 1e-5, 0)
}

func TestEffort(t *testing.T) {
	own := Default()
	own.Head = true
	for name, c := range map[string]Config{"all blocks": Default(), "last blocks": LastBlocks(), "own head": own} {
		cost := func(e Effort) int {
			got, ok := c.With(e)
			if err := got.validate(150); !ok || err != nil {
				t.Fatalf("%s, %s: %v", name, e, err)
			}
			return got.steps(40) * max(1, got.Runs)
		}
		if fast, usual, thorough := cost(EffortFast), cost(EffortDefault), cost(EffortThorough); fast*2 > usual ||
			thorough < usual*2 {
			t.Errorf("%s: got %d, %d, %d steps", name, fast, usual, thorough)
		}
	}
	if _, ok := own.With("lazy"); ok {
		t.Error("an effort that is not there was taken")
	}
}

func TestGain(t *testing.T) {
	c := Config{Gain: 0.5}
	affine := []float32{1, 1, 0, 0, 1, 1, 0.2, 0}
	c.gain(affine, 2)
	if want := []float32{0.5, 0.5, 0, 0, 0.5, 0.5, 0.2, 0}; !slices.Equal(affine, want) {
		t.Errorf("got %v, want %v", affine, want)
	}
}

// TestShapedRows: every row lies in the space of the differences between the head's labels, and
// moves the head's answer as a plain random one does not.
func TestShapedRows(t *testing.T) {
	h := NewHead([]string{"a", "b", "c"}, 16, false, 1)
	p := bank.Properties{Origin: bank.Warm, N: 4, Blocks: 1, Hidden: 16, Bottleneck: 3, NormB: true}
	row, err := shapedRows(h, p, 0.4, 9)
	if err != nil {
		t.Fatal(err)
	}
	basis := headDirections(h, h.Hidden)
	if len(basis) != 2 {
		t.Fatalf("got %d directions of 3 labels, want 2", len(basis))
	}
	for i := range p.N {
		w, _, err := row(bank.Up, 0, i)
		if err != nil {
			t.Fatal(err)
		}
		for unit := range p.Bottleneck {
			x := make([]float64, p.Hidden)
			for j := range x {
				x[j] = float64(w[unit*p.Hidden+j])
			}
			inside := 0.0
			for _, u := range basis {
				a := dot(u, x)
				inside += a * a
			}
			if all := dot(x, x); all == 0 || math.Abs(inside-all) > 1e-5*all {
				t.Errorf("adapter %d, unit %d: %g of %g lies in the head's space", i, unit, inside, all)
			}
		}
	}
	first, _, _ := row(bank.Down, 0, 2)
	first = slices.Clone(first)
	if second, _, _ := row(bank.Down, 0, 3); slices.Equal(first, second) {
		t.Error("two adapters are the same")
	}
	if again, _, _ := row(bank.Down, 0, 2); !slices.Equal(first, again) {
		t.Error("one adapter came out otherwise the second time")
	}
	h.W1 = make([]float32, 256)
	h.B1 = make([]float32, 16)
	if _, err := shapedRows(h, p, 0.4, 9); !errors.Is(err, ErrConfig) {
		t.Errorf("a head of two layers: got %v", err)
	}
}
