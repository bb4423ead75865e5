//go:build cgo

package eval

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// Machine is what all runs of a process share: the engine and the frozen encoder.
type Machine struct {
	Engine    *torch.Engine
	Encoder   *model.Encoder
	Tokenizer *model.Tokenizer
	MaxTokens int
}

// OpenMachine opens a model for runs: as many profiles are learned at once as there are cores, each on one thread, so that results do not depend on
// how many that is.
func OpenMachine(dir string, maxTokens int) (*Machine, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c, err := model.OpenCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	tok, err := model.LoadTokenizer(dir)
	if err == nil {
		err = c.Config.ValidateMaxTokens(maxTokens)
	}
	var e *torch.Engine
	if err == nil {
		e, err = torch.Open(torch.Config{Device: "cpu", Workers: max(2, runtime.GOMAXPROCS(0)), Threads: 1})
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	enc, err := model.NewEncoder(context.Background(), e, c)
	if err != nil {
		e.Close()
		c.Close()
		return nil, err
	}
	return &Machine{Engine: e, Encoder: enc, Tokenizer: tok, MaxTokens: maxTokens}, nil
}

// Close frees everything.
func (m *Machine) Close() error {
	err := m.Encoder.Close()
	if e := m.Engine.Close(); err == nil {
		err = e
	}
	return err
}

// Part is a person's share of a world: tokenized, with what the modes need.
type Part struct {
	ID          string
	Train, Test []learner.Example
	Counts      []uint32 // labels of Train

	whole *Part // of which Train is the beginning; nil: it is whole itself
	mu    sync.Mutex
	below map[int]*halves // by the blocks that have adapters
	bare  [2][]float32    // embeddings of Train and Test over the bare encoder
}

// halves are the two parts' states below the first adapter.
type halves struct{ train, test *learner.Prepared }

// prepare computes them once.
func (p *Part) prepare(ctx context.Context, env learner.Env) (*halves, error) {
	if p.whole != nil {
		h, err := p.whole.prepare(ctx, env)
		if err != nil {
			return nil, err
		}
		return &halves{h.train.First(len(p.Train)), h.test}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	blocks := env.Bank.Properties().Blocks
	if h := p.below[blocks]; h != nil {
		return h, nil
	}
	var h halves
	var err error
	if h.train, err = learner.Prepare(ctx, env, p.Train); err != nil {
		return nil, err
	}
	if h.test, err = learner.Prepare(ctx, env, p.Test); err != nil {
		return nil, err
	}
	if p.below == nil {
		p.below = map[int]*halves{}
	}
	p.below[blocks] = &h
	return &h, nil
}

// embed gives the bare embeddings of both parts, once.
func (p *Part) embed(ctx context.Context, w *World) (train, test []float32, err error) {
	if p.whole != nil {
		train, test, err = p.whole.embed(ctx, w)
		return train[:min(len(train), len(p.Train)*w.Encoder.Hidden())], test, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, examples := range [][]learner.Example{p.Train, p.Test} {
		if p.bare[i] == nil {
			if p.bare[i], err = learner.Embed(ctx, w.env(nil), examples, nil); err != nil {
				return nil, nil, err
			}
		}
	}
	return p.bare[0], p.bare[1], nil
}

func (p *Part) all() []learner.Example {
	return append(append([]learner.Example(nil), p.Train...), p.Test...)
}

// World is one split with one seed: who makes the bank, who is new, and what they share.
type World struct {
	*Machine
	Labels []string
	Seed   uint64
	Bank   []*Part // all their texts are in Train and Test together
	New    []*Part
	Head   *model.Head // of the bank's people, over the bare encoder

	mu    sync.Mutex
	banks map[string]*shared
}

// shared is a bank with what the first profiles made of it.
type shared struct {
	once       sync.Once
	err        error
	bank       *bank.Bank
	head       *model.Head
	population *learner.Logits // nil: training starts fresh

	neighbours    sync.Once
	neighboursErr error
	masks         []*bitmask.Mask // of the bank's people
}

// NewWorld tokenizes and trains the shared head.
func NewWorld(ctx context.Context, m *Machine, d *Data, bankSide, fresh []int, seed uint64, most int) (*World, error) {
	w := &World{Machine: m, Labels: d.Labels, Seed: seed, banks: map[string]*shared{}}
	class := map[string]int{}
	for i, l := range d.Labels {
		class[l] = i
	}
	part := func(i int) *Part {
		train, test := Cut(d.People[i], seed, most)
		p := &Part{ID: d.People[i].ID, Train: w.encode(train, class), Test: w.encode(test, class), Counts: make([]uint32, len(d.Labels))}
		for _, e := range p.Train {
			p.Counts[e.Class]++
		}
		return p
	}
	for _, i := range bankSide {
		w.Bank = append(w.Bank, part(i))
	}
	for _, i := range fresh {
		w.New = append(w.New, part(i))
	}
	return w, w.trainHead(ctx)
}

func (w *World) encode(examples []Example, class map[string]int) []learner.Example {
	out := make([]learner.Example, len(examples))
	for i, e := range examples {
		out[i].Class = class[e.Label]
		w.Tokenizer.Encode(&out[i].Text, e.Text, e.Pair, w.MaxTokens)
	}
	return out
}

// trainHead fits the head that all share to all texts of the bank's people.
func (w *World) trainHead(ctx context.Context) error {
	var train []learner.Example
	counts := make([]uint32, len(w.Labels))
	for _, p := range w.Bank {
		train = append(train, p.all()...)
	}
	for _, e := range train {
		counts[e.Class]++
	}
	c := learner.Default()
	c.Mode, c.Head, c.Bias, c.Affine = learner.HeadOnly, true, false, false
	c.HeadRate, c.Epochs, c.Batch, c.Seed = 3e-3, headEpochs, 32, w.Seed
	job := learner.Job{Head: learner.NewHead(w.Labels, w.Encoder.Hidden(), false, w.Seed), Train: train}
	r, err := learner.Learn(ctx, w.env(nil), job, c)
	if err != nil {
		return fmt.Errorf("eval: the shared head: %w", err)
	}
	w.Head = r.Head
	w.Head.Counts = counts
	return nil
}

// headEpochs was chosen on the development people: 20 generalise better than 60.
const headEpochs = 20

func (w *World) env(b *bank.Bank) learner.Env {
	return learner.Env{Engine: w.Engine, Encoder: w.Encoder, Bank: b}
}

// Close frees the banks.
func (w *World) Close() {
	for _, s := range w.banks {
		if s.bank != nil {
			s.bank.Close()
		}
	}
}

// share makes what a name stands for, once.
func (w *World) share(name string, fill func(*shared) error) (*shared, error) {
	w.mu.Lock()
	s := w.banks[name]
	if s == nil {
		s = &shared{}
		w.banks[name] = s
	}
	w.mu.Unlock()
	s.once.Do(func() { s.err = fill(s) })
	return s, s.err
}
