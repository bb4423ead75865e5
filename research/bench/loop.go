package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// loops are what a profiler looks at: one kind of work, again and again. prepare returns a call and
// what ends it.
var loops = map[string]func(context.Context, env) (call func() error, end func(), err error){
	"predict1":  func(ctx context.Context, v env) (func() error, func(), error) { return predictLoop(ctx, v, 1) },
	"predict64": func(ctx context.Context, v env) (func() error, func(), error) { return predictLoop(ctx, v, 64) },
	"learn":     learnLoop,
}

// profiles are files that pprof reads; no profile of an empty name is written.
type profiles struct{ cpu, mem string }

// runLoop runs one kind of work for a while, under the profilers that are asked for; perf can look
// at the process from outside meanwhile.
func runLoop(ctx context.Context, v env, name string, long time.Duration, files profiles) error {
	prepare, ok := loops[name]
	if !ok {
		return fmt.Errorf("no loop %q, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(loops)), ", "))
	}
	call, end, err := prepare(ctx, v)
	if err != nil {
		return err
	}
	defer end()
	if err := call(); err != nil { // it warms up
		return err
	}
	runtime.MemProfileRate = 4 << 10
	stop, err := files.start()
	if err != nil {
		return err
	}
	calls, began := 0, time.Now()
	for time.Since(began) < long {
		if err := call(); err != nil {
			return err
		}
		calls++
	}
	fmt.Printf("%s: %d calls, %.2f ms each\n", name, calls, time.Since(began).Seconds()*1e3/float64(calls))
	return stop()
}

func (p profiles) start() (stop func() error, err error) {
	if p.cpu != "" {
		f, err := os.Create(p.cpu)
		if err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		return func() error {
			pprof.StopCPUProfile()
			if err := f.Close(); err != nil {
				return err
			}
			return p.writeHeap()
		}, nil
	}
	return p.writeHeap, nil
}

// writeHeap writes what was allocated, sample by sample of 4 KiB.
func (p profiles) writeHeap() error {
	if p.mem == "" {
		return nil
	}
	f, err := os.Create(p.mem)
	if err != nil {
		return err
	}
	runtime.GC() // brings the counts up to date
	if err := pprof.Lookup("allocs").WriteTo(f, 0); err != nil {
		return err
	}
	return f.Close()
}

// predictLoop answers a batch of as many rows as profiles, all cached.
func predictLoop(ctx context.Context, v env, rows int) (func() error, func(), error) {
	dir, remove, err := fixture(ctx, v, rows)
	if err != nil {
		return nil, nil, err
	}
	p, err := sdk.Open(ctx, dir, nil)
	if err != nil {
		remove()
		return nil, nil, err
	}
	at := 0
	call := func() error {
		reqs := requests(v.texts, rows, at)
		at++
		return predictAll(ctx, p, reqs)
	}
	return call, func() { p.Close(); remove() }, nil
}

// requests are the texts of batch number at, a profile each.
func requests(texts []string, rows, at int) []sdk.Request {
	reqs := make([]sdk.Request, rows)
	for i, text := range batchTexts(texts, rows, at) {
		reqs[i] = sdk.Request{Profile: profileID(i), Text: text}
	}
	return reqs
}

// batchTexts are those of batch number at, as peers.py counts.
func batchTexts(texts []string, rows, at int) []string {
	out := make([]string, rows)
	for i := range out {
		out[i] = texts[(at*rows+i)%len(texts)]
	}
	return out
}

// predictAll answers a batch, whose first row that fails is the error.
func predictAll(ctx context.Context, p *sdk.Folder, reqs []sdk.Request) error {
	out, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		return err
	}
	for _, o := range out {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}

// learnLoop is learner.Learn of 16 texts, N=400, 4 steps a call.
func learnLoop(ctx context.Context, v env) (func() error, func(), error) {
	s, err := open(v.model)
	if err != nil {
		return nil, nil, err
	}
	job, b, c, err := s.learnJob(v, 16, 400)
	if err != nil {
		return nil, nil, err
	}
	call := func() error { _, err := learner.Learn(ctx, s.env(b), job, c); return err }
	return call, func() { b.Close(); s.close() }, nil
}

// learnJob is n texts of 15 labels, a random bank of N adapters in the blocks that the engine
// trains, and how masks over it and a head are learned: 16 texts a step.
func (s side) learnJob(v env, n, adapters int) (learner.Job, *bank.Bank, learner.Config, error) {
	d := s.enc.Hidden()
	c := learner.Default()
	c.Epochs, c.Batch, c.Head = 4, 16, true
	b, err := learnBank(adapters, s.engine.Trains(), d)
	job := learner.Job{Head: head(fixtureLabels, d)}
	for i := range n {
		var e learner.Example
		s.tok.Encode(&e.Text, v.texts[i], "", fixtureTokens)
		e.Class = i % fixtureLabels
		job.Train = append(job.Train, e)
	}
	return job, b, c, err
}
