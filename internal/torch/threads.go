//go:build cgo

package torch

func throttleSpinning(int) {}
