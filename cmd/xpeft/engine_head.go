package main

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/xpeft/xpeft/sdk"
)

func (a *app) headTrain(ctx context.Context, f headFlags) (err error) {
	p, err := a.open(ctx, f.engineFlags, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	bar := a.newBar(-1, "head")
	defer bar.done()
	rep, err := p.TrainHead(ctx, &sdk.TrainHeadOptions{AddLabels: f.addLabels, KeepBank: f.keepBank, Force: f.force,
		Progress: bar.step})
	if err != nil {
		return err
	}
	bar.done()
	row := headTrained{rep.Digest, rep.Installed, rep.Reason, rep.Profiles, rep.Examples, rep.HeldOut,
		rep.Before.Accuracy, rep.After.Accuracy, rep.Bank, rep.Seconds}
	return a.print(row, row.text)
}

func (a *app) headExport(ctx context.Context, f engineFlags, out string, format sdk.HeadFormat) (err error) {
	p, err := a.open(ctx, f, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	row := headCopied{File: out}
	row.Bytes, err = a.writeFile(out, func(w io.Writer) error {
		row.Head, err = p.ExportHead(ctx, w, format)
		return err
	})
	if err != nil {
		return err
	}
	if row.Labels, err = p.Labels(ctx); err != nil {
		return err
	}
	return a.print(row, row.text)
}

func (a *app) headImport(ctx context.Context, f engineFlags, path string, force bool) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	p, err := a.open(ctx, f, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	row := headCopied{File: path}
	if row.Head, err = p.ImportHead(ctx, file, &sdk.ImportHeadOptions{Force: force}); err != nil {
		return err
	}
	if row.Labels, err = p.Labels(ctx); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	row.Bytes = info.Size()
	return a.print(row, row.text)
}

func (a *app) labelsPending(ctx context.Context, f engineFlags) (err error) {
	p, err := a.open(ctx, f, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	labels, err := p.PendingLabels(ctx)
	if err != nil || len(labels) == 0 {
		return err
	}
	var t *table
	if !a.json {
		t = newTable(a.stdout, "LABEL", "PEOPLE", "EXAMPLES")
		defer t.flush()
	}
	for _, l := range labels {
		if err := a.print(l, func(io.Writer) { addPending(t, l) }); err != nil {
			return err
		}
	}
	return nil
}
