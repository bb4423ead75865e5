package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// engineErrors are those of the sdk, before the store's: ErrMismatch may wrap more than one.
var engineErrors = []kind{
	{sdk.ErrMismatch, exitMismatch},
	{sdk.ErrRevisionNotFound, exitNotFound},
	{sdk.ErrExampleNotFound, exitNotFound},
	{sdk.ErrUnknownLabel, exitInput},
	{sdk.ErrHead, exitInput},
	{sdk.ErrExample, exitInput},
	{sdk.ErrCandidates, exitInput},
	{sdk.ErrConfig, exitUsage},
	{sdk.ErrLearnConfig, exitUsage},
	{sdk.ErrUntrainable, exitUsage},
	{sdk.ErrNoCUDA, exitNoCUDA},
}

func (a *app) options(e engineFlags) *sdk.Options {
	return &sdk.Options{Device: e.device, Workers: e.workers, Threads: e.threads, Model: e.model, Verify: e.verify,
		Timeout: a.lock, MasterKey: a.key, Logger: a.logger()}
}

// open opens the folder with its model.
func (a *app) open(ctx context.Context, e engineFlags, readOnly bool) (*sdk.Folder, error) {
	o := a.options(e)
	o.ReadOnly = readOnly
	return a.openWith(ctx, o)
}

// openWith is open with options of the command's own.
func (a *app) openWith(ctx context.Context, o *sdk.Options) (*sdk.Folder, error) {
	p, err := sdk.Open(ctx, a.dir, o)
	if errors.Is(err, fs.ErrNotExist) && a.mustExist() != nil {
		return nil, &noStoreError{a.dir}
	}
	return p, err
}

func (a *app) init(ctx context.Context, f initFlags) error {
	c := sdk.Config{Model: f.model, K: f.k, Labels: f.labels, MaxTokens: f.maxTokens, Windows: f.windows,
		Options: a.options(f.engineFlags)}
	c.Options.Model = ""
	c.Masks, c.Multi = f.masks, f.multi
	var err error
	if c.Thresholds, err = byLabel("thresholds", f.thresholds); err != nil {
		return err
	}
	c.Bank = sdk.RandomBank{N: f.bankN, Seed: f.bankSeed, Bottleneck: f.bottleneck}
	if f.bankFile != "" {
		c.Bank = sdk.WarmBank{Path: f.bankFile}
	}
	var made sdk.CreateReport
	c.Report = func(r sdk.CreateReport) { made = r }
	p, err := sdk.Create(ctx, a.dir, c)
	if err != nil {
		return err
	}
	labels, err := p.Labels(ctx)
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	// What the folder says of itself, not what was asked for.
	return a.withStore(true, func(st *store.Store) error {
		row, err := a.created(st, labels)
		if err != nil {
			return err
		}
		row.Alike, row.Unknown = append([][]string{}, made.Alike...), made.Unknown
		return a.print(row, row.text)
	})
}

func (a *app) created(st *store.Store, labels []string) (created, error) {
	m := st.Meta()
	k, err := folder.K(m)
	if err != nil {
		return created{}, err
	}
	windows, err := folder.Windows(m)
	if err != nil {
		return created{}, err
	}
	multi, err := folder.Multi(m)
	if err != nil {
		return created{}, err
	}
	thresholds, err := folder.Thresholds(m)
	if err != nil {
		return created{}, err
	}
	banks, err := st.Banks()
	if err != nil {
		return created{}, err
	}
	row := created{Dir: a.dir, Model: m.Model, Encoder: m.Encoder.String(), Tokenizer: m.Tokenizer.String(),
		MaxTokens: m.MaxTokens, Windows: windows, Labels: labels, Multi: multi, Thresholds: thresholds, K: k}
	for _, info := range banks {
		p, err := folder.Properties(info)
		if err != nil {
			return created{}, err
		}
		if p.Origin == bank.HeadAxes {
			row.Axes, row.Digits = info.Digest.String(), p.N/2
			continue
		}
		row.Bank, row.Origin, row.N, row.Blocks = info.Digest.String(), p.Origin.String(), p.N, p.Blocks
	}
	return row, nil
}
