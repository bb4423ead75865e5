package learner

import (
	"bufio"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bank"
)

// bankJobOf is three profiles that share texts and differ in what they call them, and one to watch.
func bankJobOf(t testing.TB) (Env, BankJob, BankConfig) {
	t.Helper()
	env, j := lessonOf(t)
	flipped := slices.Clone(j.Train)
	for i := range flipped {
		flipped[i].Class = 1 - flipped[i].Class
	}
	c := DefaultBank()
	c.N, c.K, c.Blocks, c.Bottleneck, c.Updates, c.Profiles, c.Texts, c.WatchEvery, c.Seed = 6, 2, 1, 8, 12, 2, 3, 4, 3
	return env, BankJob{Head: j.Head,
		Profiles: []BankProfile{{Train: j.Train[:6]}, {Train: flipped[:5], Prior: []float32{0.1, -0.1}},
			{Train: j.Train[2:]}},
		Watch: []BankProfile{{Held: j.Train[6:]}},
	}, c
}

// digestOf is the digest of the bank's file.
func digestOf(t testing.TB, r *BankResult) bank.Digest {
	t.Helper()
	d, err := bank.Save(context.Background(), t.TempDir(), r.Properties, r.Affine, r.Row)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTrainBankLearns(t *testing.T) {
	env, j, c := bankJobOf(t)
	j.Watch, c.Updates, c.RowRate = nil, 40, 5e-3
	for _, apart := range []bool{false, true} {
		c.Apart, c.Head = apart, !apart
		r, err := TrainBank(context.Background(), env, j, c)
		if err != nil {
			t.Fatal(err)
		}
		mean := func(x []float32) (s float32) {
			for _, v := range x {
				s += v / float32(len(x))
			}
			return s
		}
		if first, last := mean(r.Losses[:6]), mean(r.Losses[34:]); !(last < 0.8*first) {
			t.Errorf("apart %v: got losses from %g to %g, want them to fall", apart, first, last)
		}
		if len(r.Logits) != 3 || r.Population.N != c.N || r.Population.Blocks != c.Blocks {
			t.Errorf("apart %v: got logits of %d profiles and a population of %d", apart, len(r.Logits), r.Population.N)
		}
		if apart {
			checkApart(t, c, r)
		}
	}
}

// checkApart: only the profiles' own adapters were trained; the rest stayed random.
func checkApart(t *testing.T, c BankConfig, r *BankResult) {
	t.Helper()
	fresh, err := newLiveBank(r.Properties, nil, 0, c.Seed, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.N {
		got, _, _ := r.Row(bank.Up, 0, i)
		want, _, _ := fresh.row(bank.Up, 0, i)
		// Weight decay moves the rows that nobody trains by a few percent at most.
		moved := 0.0
		for n := range got {
			moved = max(moved, math.Abs(float64(got[n]-want[n])))
		}
		if trained := i < 3; trained != (moved > 0.02) {
			t.Errorf("adapter %d moved by %g, trained: %v", i, moved, trained)
		}
	}
}

// TestTrainBankGradient compares an adapter's gradient with differences of the loss.
func TestTrainBankGradient(t *testing.T) {
	env, j, c := bankJobOf(t)
	run, err := newBankRun(env, j, c)
	if err == nil {
		err = run.prepare(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	still := schedule{steps: 1} // no noise
	for _, p := range run.all() {
		p.rate = 0 // a step then changes nothing
	}
	loss := func() float32 {
		t.Helper()
		l, err := run.step(context.Background(), 0, still)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	loss()
	p := run.live.sides[bank.Up][0]
	at := 0
	for i, g := range p.grad {
		if math.Abs(float64(g)) > math.Abs(float64(p.grad[at])) {
			at = i
		}
	}
	want := float64(p.grad[at])
	const h = 0.02
	x := p.value[at]
	p.value[at] = x + h
	up := loss()
	p.value[at] = x - h
	down := loss()
	if got := float64(up-down) / (2 * h); math.Abs(got-want) > 0.03*math.Abs(want) {
		t.Errorf("entry %d: got a gradient of %g, differences say %g", at, want, got)
	}
}

func TestTrainBankResumes(t *testing.T) {
	env, j, c := bankJobOf(t)
	whole, err := TrainBank(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	c.Checkpoint, c.CheckpointEvery = filepath.Join(t.TempDir(), "checkpoint"), 2
	ctx, cancel := context.WithCancel(context.Background())
	c.Progress = func(p Progress) {
		if p.Step == 7 {
			cancel()
		}
	}
	if _, err := TrainBank(ctx, env, j, c); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want it cancelled", err)
	}
	other := c
	other.Seed++
	if _, err := TrainBank(context.Background(), env, j, other); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another seed: got %v, want ErrCheckpoint", err)
	}
	r, err := TrainBank(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Resumed != 6 {
		t.Errorf("got %d steps resumed, want 6", r.Resumed)
	}
	if got, want := digestOf(t, r), digestOf(t, whole); got != want {
		t.Errorf("got bank %s, want %s", got, want)
	}
	if !slices.Equal(r.Losses, whole.Losses) || !slices.Equal(r.Watched, whole.Watched) ||
		!slices.Equal(r.Head.W, whole.Head.W) {
		t.Error("got another course of training than the uninterrupted one")
	}
	if _, err := os.Stat(c.Checkpoint); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the finished run left its checkpoint: %v", err)
	}
}

func TestTrainBankDamagedCheckpoint(t *testing.T) {
	env, j, c := bankJobOf(t)
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	for _, data := range []string{"", "short", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(c.Checkpoint, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := TrainBank(context.Background(), env, j, c); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%d bytes: got %v, want ErrCheckpoint", len(data), err)
		}
	}
}

// TestTrainBankKilled kills a process that trains, with no chance to tidy up, and goes on in this
// one.
func TestTrainBankKilled(t *testing.T) {
	const name = "XPEFT_TEST_CHECKPOINT"
	env, j, c := bankJobOf(t)
	c.CheckpointEvery = 2
	if c.Checkpoint = os.Getenv(name); c.Checkpoint != "" { // the child
		c.Progress = func(p Progress) { os.Stdout.WriteString("step\n") }
		_, err := TrainBank(context.Background(), env, j, c)
		t.Fatalf("not killed in time: %v", err)
	}
	whole, err := TrainBank(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	c.Checkpoint = filepath.Join(t.TempDir(), "checkpoint")
	child := exec.Command(os.Args[0], "-test.run=^TestTrainBankKilled$")
	child.Env = append(os.Environ(), name+"="+c.Checkpoint)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "step" {
			if steps++; steps == 5 {
				break
			}
		}
	}
	if err := child.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	child.Wait()
	if steps != 5 {
		t.Fatalf("the child made %d steps", steps)
	}
	r, err := TrainBank(context.Background(), env, j, c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Resumed < 4 {
		t.Errorf("got %d steps resumed, want 4 or more", r.Resumed)
	}
	if got, want := digestOf(t, r), digestOf(t, whole); got != want {
		t.Errorf("got bank %s, want %s", got, want)
	}
}

func TestTrainBankRefuses(t *testing.T) {
	env, j, c := bankJobOf(t)
	for name, change := range map[string]func(*BankJob, *BankConfig){
		"one profile":            func(j *BankJob, _ *BankConfig) { j.Profiles = j.Profiles[:1] },
		"no head":                func(j *BankJob, _ *BankConfig) { j.Head = nil },
		"too many blocks":        func(_ *BankJob, c *BankConfig) { c.Blocks = 99 },
		"no updates":             func(_ *BankJob, c *BankConfig) { c.Updates = 0 },
		"too few adapters apart": func(_ *BankJob, c *BankConfig) { c.Apart, c.N = true, 2 },
		"soft":                   func(_ *BankJob, c *BankConfig) { c.Soft = true },
		"NaN":                    func(_ *BankJob, c *BankConfig) { c.RowRate = math.NaN() },
		"a profile with nothing": func(j *BankJob, _ *BankConfig) { j.Profiles[1].Train = nil },
	} {
		j, c := j, c
		j.Profiles = slices.Clone(j.Profiles)
		change(&j, &c)
		if _, err := TrainBank(context.Background(), env, j, c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// TestPlan checks that all profiles, and all texts of each, come once before one comes again.
func TestPlan(t *testing.T) {
	p := plan{seed: 1, profiles: 7, each: 3, texts: 2}
	seen := make([]int, 7)
	for step := range 70 {
		for _, who := range p.who(step) {
			seen[who]++
		}
	}
	if slices.Min(seen) < 26 || slices.Max(seen) > 30 {
		t.Errorf("got %v turns, want 30 each but for those that would come twice in a step", seen)
	}
	texts := make([]int, 6)
	for round := range 9 {
		step := (round*p.profiles + p.each - 1) / p.each
		if got, _ := p.round(step); got != round {
			t.Fatalf("step %d is in round %d, want %d", step, got, round)
		}
		for _, e := range p.which(step, 4, len(texts)) {
			texts[e]++
		}
	}
	if slices.Min(texts) != 3 || slices.Max(texts) != 3 {
		t.Errorf("got %v visits, want 3 each", texts)
	}
}
