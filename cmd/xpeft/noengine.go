//go:build !cgo

package main

import "context"

const hasTorch = false

var engineErrors []kind

func (a *app) init(context.Context, initFlags) error             { return errNoTorch }
func (a *app) learn(context.Context, learnFlags, []*group) error { return errNoTorch }

func (a *app) predict(context.Context, predictFlags, func() (line, error)) error { return errNoTorch }
func (a *app) observe(context.Context, observeFlags, func() (line, error)) error { return errNoTorch }
func (a *app) rollback(context.Context, engineFlags, string, uint64) error       { return errNoTorch }
func (a *app) rebase(context.Context, engineFlags, []string) error               { return errNoTorch }
func (a *app) bankTrain(context.Context, bankTrainFlags) error                   { return errNoTorch }
func (a *app) headTrain(context.Context, headFlags) error                        { return errNoTorch }
func (a *app) labelsPending(context.Context, engineFlags) error                  { return errNoTorch }
