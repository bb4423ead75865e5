//go:build cgo

package main

import (
	"context"
	"errors"

	"github.com/xpeft/xpeft/sdk"
)

func (a *app) headTrain(ctx context.Context, f headFlags) (err error) {
	p, err := a.open(f.engineFlags, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	bar := a.newBar(-1, "head")
	defer bar.done()
	rep, err := p.TrainHead(ctx, &sdk.TrainHeadOptions{KeepBank: f.keepBank, Force: f.force, Progress: bar.step})
	if err != nil {
		return err
	}
	bar.done()
	row := headTrained{rep.Digest, rep.Installed, rep.Reason, rep.Profiles, rep.Examples, rep.HeldOut, rep.Before.Accuracy, rep.After.Accuracy, rep.Bank, rep.Took.Seconds()}
	return a.print(row, row.text)
}
