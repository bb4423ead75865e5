package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/internal/engine/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// Machine is what all runs of a process share: the engine and the frozen encoder.
type Machine struct {
	Dir       string // of the model
	Engine    engine.Engine
	Encoder   *model.Encoder
	Tokenizer *model.Tokenizer
	MaxTokens int

	mu    sync.Mutex
	texts map[string]*texts // by the person's id and the data's digest
}

// OpenMachine opens a model for runs, under libtorch where it is built in, which adapters in more
// than the last block need.
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
	var enc *model.Encoder
	if err == nil {
		enc, err = model.NewEncoder(c)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	e := native.New(enc)
	if torch.Built { // as many profiles are learned at once as there are cores, each on one thread
		if e, err = torch.Open(enc, torch.Config{Device: "cpu", Workers: max(2, runtime.GOMAXPROCS(0)),
			Threads: 1}); err != nil {
			enc.Close()
			return nil, err
		}
	}
	return &Machine{Dir: dir, Engine: e, Encoder: enc, Tokenizer: tok, MaxTokens: maxTokens}, nil
}

// Close frees everything.
func (m *Machine) Close() error { return errors.Join(m.Engine.Close(), m.Encoder.Close()) }

// texts are all that is known of a person, tokenized, with what the frozen encoder makes of it:
// computed once for all the worlds of a process.
type texts struct {
	person   Person
	examples []learner.Example

	mu       sync.Mutex
	prepared map[int]*learner.Prepared // by the blocks that have adapters; 0: the bare encoder's embeddings
}

// prepare computes what is below the first adapter of env's bank; without a bank, the embeddings.
func (t *texts) prepare(ctx context.Context, env learner.Env) (*learner.Prepared, error) {
	blocks := 0
	if env.Bank != nil {
		blocks = env.Bank.Properties().Blocks
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.prepared[blocks]; p != nil {
		return p, nil
	}
	p, err := learner.Prepare(ctx, env, t.examples)
	if err != nil {
		return nil, err
	}
	if t.prepared == nil {
		t.prepared = map[int]*learner.Prepared{}
	}
	t.prepared[blocks] = p
	return p, nil
}

// Part is a person's share of a world: which texts are trained on, and which are the test.
type Part struct {
	ID          string
	Train, Test []learner.Example
	Counts      []uint32 // labels of Train

	texts       *texts
	train, test []int // in texts
}

func newPart(id string, t *texts, train, test []int, labels int) *Part {
	p := &Part{ID: id, Counts: make([]uint32, labels), texts: t, train: train, test: test}
	for _, i := range train {
		p.Train = append(p.Train, t.examples[i])
		p.Counts[t.examples[i].Class]++
	}
	for _, i := range test {
		p.Test = append(p.Test, t.examples[i])
	}
	return p
}

// first is a part with at most n training texts.
func (p *Part) first(n int) *Part {
	return newPart(p.ID, p.texts, p.train[:min(n, len(p.train))], p.test, len(p.Counts))
}

// prepare picks both parts' texts, ready for env's bank or, without one, for the bare encoder.
func (p *Part) prepare(ctx context.Context, env learner.Env) (train, test *learner.Prepared, err error) {
	all, err := p.texts.prepare(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	return all.Pick(p.train), all.Pick(p.test), nil
}

// embed gives the bare embeddings of both parts.
func (p *Part) embed(ctx context.Context, w *World) (train, test []float32, err error) {
	a, b, err := p.prepare(ctx, w.env(nil))
	if err != nil {
		return nil, nil, err
	}
	if train, err = a.Embed(ctx, w.env(nil), nil); err == nil {
		test, err = b.Embed(ctx, w.env(nil), nil)
	}
	return train, test, err
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
	Head   *model.Head // of the bank's people, over the bare encoder, by TrainHead of the SDK

	root string // of all folders of the SDK
	home home

	mu    sync.Mutex
	banks map[string]*shared
}

// shared is a bank with what the first profiles made of it, or a folder of the SDK.
type shared struct {
	once sync.Once
	err  error
	bank *bank.Bank
	home home

	neighbours    sync.Once
	neighboursErr error
	learned       []*learner.Result // of the bank's people
}

// NewWorld tokenizes, and has the SDK train the shared head.
func NewWorld(ctx context.Context, m *Machine, d *Data, bankSide, fresh []int, seed uint64, most int) (*World, error) {
	w := &World{Machine: m, Labels: d.Labels, Seed: seed, banks: map[string]*shared{}}
	class := map[string]int{}
	for i, l := range d.Labels {
		class[l] = i
	}
	part := func(i int) *Part {
		train, test := Cut(d.People[i], seed, most)
		return newPart(d.People[i].ID, m.person(d, i, class), train, test, len(d.Labels))
	}
	for _, i := range bankSide {
		w.Bank = append(w.Bank, part(i))
	}
	for _, i := range fresh {
		w.New = append(w.New, part(i))
	}
	err := w.makeHome(ctx)
	if err == nil {
		w.Head, err = w.home.readHead()
	}
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("eval: the bank's people: %w", err)
	}
	return w, nil
}

// person tokenizes all texts of a person, once for a process.
func (m *Machine) person(d *Data, i int, class map[string]int) *texts {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := d.Digest + " " + d.People[i].ID
	if t := m.texts[key]; t != nil {
		return t
	}
	t := &texts{person: d.People[i]}
	for _, e := range d.People[i].Examples {
		x := learner.Example{Class: class[e.Label]}
		m.Tokenizer.Encode(&x.Text, e.Text, e.Pair, m.MaxTokens)
		t.examples = append(t.examples, x)
	}
	if m.texts == nil {
		m.texts = map[string]*texts{}
	}
	m.texts[key] = t
	return t
}

func (w *World) env(b *bank.Bank) learner.Env {
	return learner.Env{Engine: w.Engine, Encoder: w.Encoder, Bank: b}
}

// Close frees the banks and deletes the folders.
func (w *World) Close() {
	for _, s := range w.banks {
		if s.bank != nil {
			s.bank.Close()
		}
	}
	if w.root != "" {
		os.RemoveAll(w.root)
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
