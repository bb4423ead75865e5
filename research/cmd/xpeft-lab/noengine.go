//go:build !cgo

package main

import (
	"context"
	"errors"
)

var errNoTorch = errors.New("this xpeft-lab was built without libtorch: it can only report and plot")

func (a *app) evaluate(context.Context, evalFlags) error         { return errNoTorch }
func (a *app) evaluateTasks(context.Context, taskFlags) error    { return errNoTorch }
func (a *app) evaluateAlone(context.Context, aloneFlags) error   { return errNoTorch }
func (a *app) evaluatePeople(context.Context, peopleFlags) error { return errNoTorch }
