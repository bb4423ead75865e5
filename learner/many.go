package learner

import (
	"context"
	"fmt"
	"time"
)

// manyRows is how many texts a joint step takes at most; a profile whose own batch is larger steps
// alone.
const manyRows = 128

// Outcome is what LearnMany found for one job, or what went wrong with this one alone.
type Outcome struct {
	Result *Result // nil with Err
	Err    error   // training diverged
}

// JobError says which of many jobs cannot be learned, and why.
type JobError struct {
	Job int // its place
	Err error
}

func (e *JobError) Error() string { return fmt.Sprintf("job %d: %v", e.Job, e.Err) }

func (e *JobError) Unwrap() error { return e.Err }

// LearnMany is Learn of many profiles over one bank, in joint steps of up to 128 texts: one pass
// through the encoder for the batches of as many profiles as fit, each with its own adapter, head,
// optimiser, draws, schedule and end. What it finds for a job is what Learn finds for it, but for
// rounding: a profile's loss is the mean over its own texts, and no number of one meets another's.
// Jobs may differ in the number of examples, in start, prior and labels, not in c, whose mode must
// be Masks; frozen heads that are the same *model.Head are one. A profile that ends makes room for
// the next. A job that Learn would refuse is a *JobError before any work; one that diverges is the
// Err of its own Outcome. ctx ends it within a step, with ctx's error and nothing kept. Memory: the
// jobs under way, two folded adapters for each of their texts in a step, and Config.StemBudget for
// the texts of those.
func LearnMany(ctx context.Context, env Env, jobs []Job, c Config) ([]Outcome, error) {
	if c.Mode != Masks {
		return nil, fmt.Errorf("%w: many profiles learn masks, not %q", ErrConfig, c.Mode)
	}
	env = env.ready()
	m := &many{env: env, jobs: jobs, config: c, out: make([]Outcome, len(jobs))}
	for i := range jobs {
		if err := check(env, &jobs[i], c); err != nil {
			return nil, &JobError{i, err}
		}
		m.waiting = append(m.waiting, i)
	}
	for len(m.waiting)+len(m.active) > 0 {
		if err := m.admit(ctx); err != nil {
			return nil, err
		}
		if err := m.step(ctx); err != nil {
			return nil, err
		}
	}
	return m.out, nil
}

// many is one call of LearnMany.
type many struct {
	env     Env
	jobs    []Job
	config  Config
	waiting []int // jobs that have not begun
	active  []*learning
	out     []Outcome
}

// learning is a job under way.
type learning struct {
	*run
	began time.Time
	which []int // the next step's examples
	kept  int64 // bytes of its texts' states
}

// admit begins waiting jobs while their batches fit into a step.
func (m *many) admit(ctx context.Context) error {
	rows, budget := 0, m.config.StemBudget
	for _, l := range m.active {
		rows, budget = rows+m.rows(l.job), budget-l.kept
	}
	var fresh []*learning
	for len(m.waiting) > 0 {
		i := m.waiting[0]
		j := m.jobs[i]
		n := m.rows(j)
		if len(m.active)+len(fresh) > 0 && rows+n > manyRows {
			break
		}
		r, err := newRun(m.env, j, m.config)
		if err != nil {
			return err
		}
		r.number = i
		fresh = append(fresh, &learning{run: r, began: time.Now()})
		m.waiting, rows = m.waiting[1:], rows+n
	}
	if err := m.prepare(ctx, fresh, budget); err != nil {
		return err
	}
	for _, l := range fresh {
		if err := m.deal(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// rows is the most that a job brings into a step.
func (m *many) rows(j Job) int { return min(m.config.Batch, len(j.Train)) }

// prepare computes what is below the first adapter of all new jobs' texts at once, but of those
// that bring it.
func (m *many) prepare(ctx context.Context, fresh []*learning, budget int64) error {
	var texts []Example
	for _, l := range fresh {
		if l.job.Prepared == nil {
			texts = append(texts, l.job.Train...)
		}
	}
	all, err := newStems(ctx, m.env, texts, m.env.from(m.config), max(budget, 0))
	if err != nil {
		return err
	}
	at := 0
	for _, l := range fresh {
		if n := len(l.job.Train); l.job.Prepared == nil {
			st := all.part(at, at+n)
			l.kept, at = st.bytes(), at+n
			l.job.Prepared = &Prepared{examples: l.job.Train, stems: st}
		}
		if err := l.run.prepare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// deal takes a job's next examples, or its result if it is over.
func (m *many) deal(ctx context.Context, l *learning) (err error) {
	if l.which, err = l.next(ctx); err != nil {
		return err
	}
	if l.which != nil {
		m.active = append(m.active, l)
		return nil
	}
	o := &m.out[l.number]
	o.Result, o.Err = l.finish(l.began)
	return nil
}

// step is one step of every job under way.
func (m *many) step(ctx context.Context) error {
	under := m.active
	m.active = nil
	tr, b, nu := joint(under)
	losses, err := tr.gradient(ctx, b, nu)
	if err != nil {
		return err
	}
	for i, l := range under {
		if err := l.applyStep(losses[i]); err != nil {
			m.out[l.number].Err = err
			continue
		}
		if err := m.deal(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// joint is one step of several profiles: what takes it, its texts, and the noise of each.
func joint(under []*learning) (*trainer, batch, []float64) {
	t, b, nu := &trainer{env: under[0].env}, batch{}, make([]float64, len(under))
	each := make([]*maskSource, len(under))
	for i, l := range under {
		each[i], nu[i] = l.masks, l.noise()
		t.outputs = append(t.outputs, l.trainer.outputs...)
		b.add(l.inputs, l.which, i)
	}
	t.source = joinMasks(each)
	return t, b, nu
}
