package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// childEnv tells this program, run by benchStart, which child to be; storeEnv is the store that it
// opens.
const (
	childEnv = "XPEFT_BENCH_CHILD"
	storeEnv = "XPEFT_BENCH_STORE"
)

// children are what a program does between its start and its end.
var children = []struct {
	name string // its series, from the start of the process to its end
	run  func(context.Context) error
}{
	{"the program alone", func(context.Context) error { return nil }},
	{"a store", func(context.Context) error { return withStore(func(*sdk.Folder) error { return nil }) }},
	{"a store and one answer", func(ctx context.Context) error {
		return withStore(func(p *sdk.Folder) error {
			_, err := p.Predict(ctx, profileID(0),
				"Where does the time go between a program's start and its first answer?", nil)
			return err
		})
	}},
}

func withStore(f func(*sdk.Folder) error) error {
	p, err := sdk.Open(context.Background(), os.Getenv(storeEnv), &sdk.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	if err := f(p); err != nil {
		return err
	}
	return p.Close()
}

// beChild runs the child that the environment names; ok is false if it names none.
func beChild(ctx context.Context) (ok bool, err error) {
	name := os.Getenv(childEnv)
	for _, c := range children {
		if c.name == name {
			return true, c.run(ctx)
		}
	}
	return false, nil
}

// benchStart measures processes from their start to their end: the first answer of a stored
// profile, and what of it a program takes that does nothing, or opens the store. Then the first
// Learn of an engine beside the second of the same work.
func benchStart(ctx context.Context, v env) (result, error) {
	r := result{Name: "start", What: fmt.Sprintf(
		"whole processes: that do nothing, with a store open, with one answer of a stored profile (N=%d, L=6); and "+
			"a first Learn of 16 texts beside a second", fixtureN)}
	dir, remove, err := fixture(ctx, v, peersRows)
	if err != nil {
		return r, err
	}
	defer remove()
	program, err := os.Executable()
	if err != nil {
		return r, err
	}
	const limit = "first answer, limit"
	for round := range v.rounds + 1 {
		if round > 0 {
			r.add(limit, "ms", 0, 500)
		}
		for _, c := range children {
			cmd := exec.CommandContext(ctx, program)
			cmd.Env = append(slices.Clone(os.Environ()), childEnv+"="+c.name, storeEnv+"="+dir)
			cmd.Stderr = os.Stderr
			began := time.Now()
			if err := cmd.Run(); err != nil {
				return r, fmt.Errorf("child %q: %w", c.name, err)
			}
			if round > 0 { // the first one brings the files into the page cache
				r.add(c.name, "ms", 0, time.Since(began).Seconds()*1e3)
			}
		}
	}
	r.compare("start to the end of the first answer, of 500 ms", "a store and one answer", limit, "≤ 1")
	if err := firstLearns(ctx, v, &r); err != nil {
		return r, err
	}
	r.compare("first Learn over the second", "first Learn", "second Learn", "")
	return r, nil
}

// firstLearns runs two Learns of equal work in each new engine.
func firstLearns(ctx context.Context, v env, r *result) error {
	for range v.rounds {
		s, err := open(v.model)
		if err != nil {
			return err
		}
		job, b, c, err := s.learnJob(v, 16, fixtureN)
		if err != nil {
			return err
		}
		for _, name := range []string{"first Learn", "second Learn"} {
			ms, err := timed(1, func() error { _, err := learner.Learn(ctx, s.env(b), job, c); return err })
			if err != nil {
				return err
			}
			r.add(name, "ms", 0, ms[0])
		}
		b.Close()
		s.close()
	}
	return nil
}
