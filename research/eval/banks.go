package eval

import (
	"context"
	"errors"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
)

// bankConfig is how a setting's warm bank is made.
func (b Bank) config(seed uint64) learner.BankConfig {
	c := learner.DefaultBank()
	c.N, c.Blocks, c.Bottleneck, c.Seed = b.N, b.Blocks, b.Bottleneck, seed
	if b.Sigma > 0 {
		c.SigmaB = b.Sigma
	}
	switch b.Kind {
	case "shaped":
		c.Shaped, c.Updates, c.Head = true, 0, false
	case "apart":
		c.Apart, c.Head = true, false
	}
	return c
}

// trainedBank makes a warm bank of the bank's people.
func (w *World) trainedBank(ctx context.Context, s *shared, b Bank) error {
	job := learner.BankJob{Head: w.Head}
	for _, p := range w.Bank {
		job.Profiles = append(job.Profiles, learner.BankProfile{Train: p.all(), Prior: w.Head.Prior(p.Counts, 1)})
	}
	c := b.config(w.Seed)
	if b.Kind == "apart" && c.N < len(job.Profiles) {
		job.Profiles = job.Profiles[:c.N]
	}
	r, err := learner.TrainBank(ctx, w.env(nil), job, c)
	if err != nil {
		return err
	}
	s.bank, err = reopen(ctx, r)
	return err
}

// reopen writes a bank and opens the file, as a store would.
func reopen(ctx context.Context, r *learner.BankResult) (_ *bank.Bank, err error) {
	dir, err := os.MkdirTemp("", "xpeft-eval-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := dir + "/bank"
	if _, err := bank.WriteFile(ctx, path, r.Properties, r.Affine, r.Row); err != nil {
		return nil, err
	}
	f, err := bank.OpenFile(path)
	if err != nil {
		return nil, err
	}
	return bank.FromFile(f), nil // mapped: the file's name may go
}
