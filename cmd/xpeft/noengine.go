//go:build !cgo

package main

import "context"

const hasTorch = false

var engineErrors []kind

func (a *app) init(context.Context, initFlags) error             { return errNoTorch }
func (a *app) evaluate(context.Context, evalFlags) error         { return errNoTorch }
func (a *app) learn(context.Context, learnFlags, []*group) error { return errNoTorch }

func (a *app) predict(context.Context, predictFlags, func() (line, error)) error { return errNoTorch }
