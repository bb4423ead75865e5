package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

const (
	adapters = 150
	seed     = 42
)

// show is one run of the demo.
type show struct {
	out    io.Writer
	live   bool
	people []person
	unseen []message

	profiles *sdk.SDK
	reports  []*sdk.Report // of each person's Learn
	others   result        // on the unseen messages, for all
}

func (s *show) printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

func (s *show) run(ctx context.Context, model string) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "xpeft-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.profiles, err = sdk.Create(dir, sdk.Config{Model: model, Bank: sdk.RandomBank{N: adapters, Seed: seed}, Labels: labels})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.profiles.Close()) }()
	s.introduce(model, dir)
	for _, step := range []func(context.Context) error{
		s.learn,
		func(ctx context.Context) error { return s.compare(ctx, model) },
		s.ask,
		s.move,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	s.printf("\nDone in %.0f s.\n", time.Since(began).Seconds())
	return nil
}

func (s *show) introduce(model, dir string) {
	s.printf("xpeft: one language model, %d people, and each gets their own answers\n\n", len(s.people))
	s.printf("  model     %s, frozen\n", filepath.Base(model))
	s.printf("  bank      %d random adapters out of seed %d, frozen: no bytes on disk\n", adapters, seed)
	s.printf("  profile   two bit masks: which adapters are averaged in each block for one person\n")
	s.printf("  labels    %s, %s, %s: everybody means something else by them\n", labels[0], labels[1], labels[2])
	s.printf("  store     %s, deleted at the end\n", dir)
}

// learn makes a profile of each person.
func (s *show) learn(ctx context.Context) error {
	s.printf("\n1. Learn: two thirds of each person's filed messages. The rest is kept back for step 2.\n")
	s.printf("   Learn itself holds out about three in ten of what it gets, to see whether it got any better.\n\n")
	for _, p := range s.people {
		o := &sdk.LearnOptions{}
		if s.live {
			o.Progress = func(step, steps int, loss float32) {
				s.printf("\r  %-7s step %d of %d, loss %.2f ", p.name, step, steps, loss)
			}
		}
		rep, err := s.profiles.Learn(ctx, p.name, p.learn, o)
		if err != nil {
			return fmt.Errorf("learn %s: %w", p.name, err)
		}
		if s.live {
			s.printf("\r%60s\r", "")
		}
		if rep.Revision == 0 {
			return fmt.Errorf("learn %s: no revision was installed: %s", p.name, rep.Reason)
		}
		s.reports = append(s.reports, rep)
		s.printf("  %-7s learned from %d of %d messages in %4.1f s; the %d others: %2.0f %% right before, %2.0f %% after\n",
			p.name, rep.Examples, len(p.learn), rep.Took.Seconds(), rep.HeldOut, 100*rep.Before.Accuracy, 100*rep.After.Accuracy)
	}
	return nil
}
