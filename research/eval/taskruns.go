package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/research/stats"
)

// TaskMode is a row of the paper's Table 2.
type TaskMode struct {
	Name    string // head_only, single_adapter or x_peft
	Soft    bool
	OneMask bool
	N, K    int // of x_peft; soft masks have no k
}

// String names it in files and tables.
func (m TaskMode) String() string {
	if m.Name != string(learner.Masks) {
		return m.Name
	}
	if m.Soft {
		return fmt.Sprintf("x_peft, N=%d, soft", m.N)
	}
	if m.OneMask {
		return fmt.Sprintf("x_peft, N=%d, k=%d, hard, one mask", m.N, m.K)
	}
	return fmt.Sprintf("x_peft, N=%d, k=%d, hard", m.N, m.K)
}

// file is the name without what a file system dislikes.
func (m TaskMode) file() string {
	return fmt.Sprintf("%s-n%d-k%d-soft%t-one%t", m.Name, m.N, m.K, m.Soft, m.OneMask)
}

// Table2 are the modes of the paper's Table 2 for banks of these sizes. A k of 0 is a quarter of
// each.
func Table2(k int, sizes ...int) []TaskMode {
	modes := []TaskMode{{Name: string(learner.HeadOnly)}, {Name: string(learner.SingleAdapter)}}
	for _, n := range sizes {
		ones := min(cmp.Or(k, (n+3)/4), n)
		modes = append(modes, TaskMode{Name: string(learner.Masks), N: n, K: ones},
			TaskMode{Name: string(learner.Masks), Soft: true, N: n})
	}
	return modes
}

// TaskEvaluation runs modes on tasks, one file each. What is there is not repeated.
type TaskEvaluation struct {
	Machine *Machine
	Tasks   []*Task
	Modes   []TaskMode
	Out     string
	Rows    int // most training rows, drawn with the seed; 0: all
	Epochs  int
	Seeds   int
	Log     func(string)

	mu sync.Mutex
}

// Run does what is missing, as many at once as there are cores. Log is called by one goroutine at a
// time.
func (e *TaskEvaluation) Run(ctx context.Context) error {
	if err := os.MkdirAll(e.Out, 0o777); err != nil {
		return err
	}
	per := len(e.Tasks) * len(e.Modes)
	return each(per*e.Seeds, runtime.GOMAXPROCS(0), func(i int) error {
		seed, t, m := i/per, e.Tasks[i%per/len(e.Modes)], e.Modes[i%len(e.Modes)]
		err := e.item(ctx, t, m, uint64(seed))
		if errors.Is(err, engine.ErrUntrainable) {
			e.say(fmt.Sprintf("%-6s %-30s seed %d: skipped: %s", t.Name, m, seed, untrainable))
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, %s, seed %d: %w", t.Name, m, seed, err)
		}
		return nil
	})
}

func (e *TaskEvaluation) item(ctx context.Context, t *Task, m TaskMode, seed uint64) error {
	path := filepath.Join(e.Out, fmt.Sprintf("%s-%s-rows%d-epochs%d-seed%d.json", t.Name, m.file(), e.Rows, e.Epochs,
		seed))
	release, ok, err := claimRun(path, t.Digest)
	if err != nil || !ok {
		return err
	}
	defer release()
	began := time.Now()
	r, err := e.Machine.task(ctx, t, m, taskConfig(m, e.Epochs, seed), e.Rows, seed)
	if err != nil {
		return err
	}
	r.Started, r.Seconds = began.UTC().Format(time.RFC3339), time.Since(began).Seconds()
	e.say(fmt.Sprintf("%-6s %-30s seed %d: %s %.4f, %.0f s", t.Name, m, seed, t.Metrics[0],
		r.Profiles[0].Metrics[t.Metrics[0]], r.Seconds))
	return writeJSON(path, r)
}

func (e *TaskEvaluation) say(line string) {
	if e.Log != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.Log(line)
	}
}

// tasks is what works for thousands of rows, a head of its own and adapters in all blocks. Logits
// start equal and without noise, so that a hard mask's bits follow the sum of all steps; rates are
// low, so that soft weights stay near their mean: where they wander far, a few random adapters
// stand for all. The bank should be strong, σ_B about 0.03·√k (soft: √N).
func tasks() learner.Config {
	c := learner.Default()
	c.Head, c.Bias, c.Epochs, c.Batch, c.LengthBuckets, c.Decay = true, false, 3, 16, 8, 0.01
	c.HeadRate, c.MaskRate, c.AffineRate, c.Nu = 1e-3, 0.04, 0.01, 0
	return c
}

// taskConfig is one setting for every task. A single adapter learns faster: that was best on
// training rows that were held out.
func taskConfig(m TaskMode, epochs int, seed uint64) learner.Config {
	c := tasks()
	c.Mode, c.K, c.Soft, c.OneMask, c.Seed, c.Epochs = learner.Mode(m.Name), max(1, m.K), m.Soft, m.OneMask, seed,
		epochs
	if c.Mode == learner.SingleAdapter {
		c.HeadRate = 3e-3
	}
	return c
}

// taskStrength is the standard deviation of a fresh fold's Up entries, whatever N and k are: with
// less the masks cannot move the encoder far enough, with more the random adapters that they cannot
// avoid disturb it.
const taskStrength = 0.03

// sigmaB makes an average of as many adapters as the mode takes that strong.
func (m TaskMode) sigmaB() float32 {
	if m.Soft {
		return float32(taskStrength * math.Sqrt(float64(max(1, m.N))))
	}
	return float32(taskStrength * math.Sqrt(float64(max(1, m.K))))
}

// task learns one profile on a task's training rows and scores it on all of its dev rows.
func (m *Machine) task(ctx context.Context, t *Task, mode TaskMode, c learner.Config, rows int, seed uint64) (Run,
	error) {
	p := bank.Properties{Origin: bank.Random, N: max(1, mode.N), Blocks: m.Encoder.Blocks(),
		Hidden: m.Encoder.Hidden(), Bottleneck: singleBottleneck,
		NormB: true, Seed: 42, SigmaA: bank.DefaultSigmaA, SigmaB: mode.sigmaB()}
	b, err := bank.NewRandom(p)
	if err != nil {
		return Run{}, err
	}
	defer b.Close()
	train := t.Train
	if rows > 0 && rows < len(train) {
		rng := rand.New(rand.NewPCG(mix("rows "+t.Name, seed), 1))
		train = nil
		for _, i := range rng.Perm(len(t.Train))[:rows] {
			train = append(train, t.Train[i])
		}
	}
	d := m.Encoder.Hidden()
	job := learner.Job{Head: learner.NewHead(t.Labels, d, true, seed), Train: m.encode(t, train)}
	dev := m.encode(t, t.Dev)
	r, x, err := learner.LearnAndEmbed(ctx, learner.Env{Engine: m.Engine, Encoder: m.Encoder, Bank: b}, job, c, dev)
	if err != nil {
		return Run{}, err
	}
	return Run{Format: runFormat, Data: t.Digest, Task: t.Name, Mode: mode.String(), Seed: int(seed), N: mode.N,
		K: mode.K, Blocks: p.Blocks, Trainable: r.Trained,
		Soft: mode.Soft, OneMask: mode.OneMask,
		Setting: fmt.Sprintf("%d rows, %d epochs, batch %d", len(train), c.Epochs, c.Batch), Losses: r.Losses,
		Profiles: []Profile{{ID: t.Name, Train: len(train), Test: len(dev),
			Bytes: taskBytes(c, p, m.Encoder.Blocks(), r), Seconds: r.Took.Seconds(),
			Metrics: t.score(r.Head, x)}}}, nil
}

// taskBytes is what a profile of the mode stores beside its head: that is the same for all.
func taskBytes(c learner.Config, p bank.Properties, blocks int, r *learner.Result) int {
	switch {
	case c.Mode == learner.HeadOnly:
		return 0
	case c.Mode == learner.SingleAdapter:
		return 4 * blocks * (2*p.Hidden*p.Bottleneck + p.Hidden + p.Bottleneck)
	case c.Soft:
		return 4*len(r.Logits.Values) + p.Blocks*(4+2*p.Bottleneck)
	}
	return bitmask.Size(p.N, p.Blocks) + p.Blocks*(4+2*p.Bottleneck)
}

func (m *Machine) encode(t *Task, rows []TaskRow) []learner.Example {
	class := map[string]int{}
	for i, l := range t.Labels {
		class[l] = i
	}
	out := make([]learner.Example, len(rows))
	for i, r := range rows {
		out[i].Class, out[i].Target = class[r.Label], r.Target
		m.Tokenizer.Encode(&out[i].Text, r.Text, r.Pair, m.MaxTokens)
	}
	return out
}

// score measures a head on the embeddings of the dev rows, by the task's own metrics. F1 is that of
// the second label, as GLUE has it: 1 of 0 and 1.
func (t *Task) score(h *model.Head, x []float32) map[string]float64 {
	out := map[string]float64{}
	if h.Regression() {
		var truth, got []float64
		for i, r := range t.Dev {
			truth, got = append(truth, float64(r.Target)),
				append(got, float64(h.Logits(nil, x[i*h.Hidden:(i+1)*h.Hidden])[0]))
		}
		out["pearson"], out["spearman"] = stats.Pearson(truth, got), stats.Spearman(truth, got)
		return out
	}
	truth := make([]int, len(t.Dev))
	for i, r := range t.Dev {
		for c, l := range t.Labels {
			if l == r.Label {
				truth[i] = c
			}
		}
	}
	got := predict(h, nil, x)
	out["accuracy"], out["mcc"], out["f1"] = stats.Accuracy(truth, got), stats.MCC(truth, got), stats.F1(truth, got, 1)
	return out
}
