package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

// engineFlags are those of the commands that run the model.
type engineFlags sdk.Options

// add are all, of the commands for a folder that knows its model.
func (e *engineFlags) add(cmd *cobra.Command) {
	e.addEngine(cmd)
	e.addModel(cmd)
}

func (e *engineFlags) addEngine(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.Device, "device", "", "cpu, cuda or auto; default auto in a build with -tags torch, else cpu")
	f.IntVar(&e.Workers, "workers", 0, "forward passes at once, and their threads; 0: the number of CPUs, 2 at least")
	f.IntVar(&e.Threads, "threads", 0, "threads of one training step; 0: the number of CPUs")
	f.BoolVar(&e.Verify, "verify", false, "read model and bank whole and compare their SHA-256 first")
	complete(cmd, "device", "cpu", "cuda", "auto")
}

func (e *engineFlags) addModel(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.Model, "model", "", "folder of the model, if it moved since init")
}

func (a *app) options(e engineFlags) *sdk.Options {
	e.Timeout, e.MasterKey, e.Logger = a.lock, a.key, a.logger()
	return (*sdk.Options)(&e)
}

// open opens the folder with its model.
func (a *app) open(ctx context.Context, o *sdk.Options) (*sdk.Folder, error) {
	if err := a.mustExist(); err != nil {
		return nil, err
	}
	return sdk.Open(ctx, a.dir, o)
}

// runsOn is runs of code that works on the folder, which is opened with its model.
func (a *app) runsOn(e *engineFlags, readOnly bool,
	f func(ctx context.Context, p *sdk.Folder, args []string) error) func(*cobra.Command, []string) error {
	return a.runs(func(ctx context.Context, args []string) error {
		return a.withFolder(ctx, *e, readOnly, func(p *sdk.Folder) error { return f(ctx, p, args) })
	})
}

// withFolder opens the folder with its model for f.
func (a *app) withFolder(ctx context.Context, e engineFlags, readOnly bool, f func(p *sdk.Folder) error) (err error) {
	o := a.options(e)
	o.ReadOnly = readOnly
	p, err := a.open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return f(p)
}
