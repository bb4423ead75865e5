package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// show is one run of the demo.
type show struct {
	out    io.Writer
	live   bool
	people []person
	unseen []message

	profiles  *sdk.Folder
	trainsAll bool          // adapters in all blocks, with libtorch: as the paper's masks need
	reports   []*sdk.Report // of each person's Learn
	others    result        // on the unseen messages, for all
}

func (s *show) printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

func (s *show) run(ctx context.Context, model string) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "xpeft-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.profiles, err = sdk.Create(ctx, dir, sdk.Config{Model: model, Labels: labels})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.profiles.Close()) }()
	s.trainsAll = slices.Contains(sdk.Engines(), "torch")
	s.introduce(model, dir)
	for _, step := range []func(context.Context) error{
		s.learn,
		func(ctx context.Context) error { return s.compare(ctx, model) },
		s.ask,
		s.move,
		func(ctx context.Context) error { return s.meet(ctx, model, dir) },
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
	s.printf("  profile   for each label a row of bits: which directions of the model are averaged for one person\n")
	s.printf("  labels    %s, %s, %s: everybody means something else by them\n", labels[0], labels[1], labels[2])
	s.printf("  store     %s, deleted at the end\n", dir)
}

// learn makes a profile of each person.
func (s *show) learn(ctx context.Context) error {
	s.printf("\n1. Learn: two thirds of each person's filed messages. The rest is kept back for step 2.\n")
	s.printf("   Learn trains on all that it gets, and measures each message by what was learned without it.\n\n")
	for _, p := range s.people {
		rep, err := s.profiles.Learn(ctx, p.name, p.learn, nil)
		if err != nil {
			return fmt.Errorf("learn %s: %w", p.name, err)
		}
		if rep.Revision == 0 {
			return fmt.Errorf("learn %s: no revision was installed: %s", p.name, rep.Reason)
		}
		s.reports = append(s.reports, rep)
		s.printf("  %-7s learned from %d messages in %4.2f s: %2.0f %% right before, %2.0f %% after\n",
			p.name, rep.Examples, rep.Seconds, 100*rep.Before.Accuracy, 100*rep.After.Accuracy)
	}
	if !s.trainsAll {
		return nil
	}
	return s.learnByPaper(ctx)
}

// byPaper is the id of a person's profile as the paper makes one.
func byPaper(name string) string { return name + ", by the paper" }

// learnByPaper makes another profile of each person, with the paper's masks and settings, for step
// 2.
func (s *show) learnByPaper(ctx context.Context) error {
	c := learner.Paper()
	c.K = 0 // the folder's
	for _, p := range s.people {
		o := &sdk.LearnOptions{Config: &c, Force: true}
		if s.live {
			o.Progress = func(step, steps int, loss float32) {
				s.printf("\r  %-7s as in the paper: step %d of %d, loss %.2f ", p.name, step, steps, loss)
			}
		}
		if _, err := s.profiles.Learn(ctx, byPaper(p.name), p.learn, o); err != nil {
			return fmt.Errorf("learn %s: %w", byPaper(p.name), err)
		}
		if s.live {
			s.printf("\r%70s\r", "")
		}
	}
	return nil
}
