// Package torch is the engine over libtorch: for GPUs, and for adapters in more blocks than the
// native engine trains. It is in programs that are built with -tags torch and cgo; without them it
// is a stub, and Built is false.
//
// On a CPU the native engine computes whatever it can, and libtorch the gradients of adapters in
// several blocks. On a GPU libtorch computes all but small batches, which the CPU answers sooner.
//
// The files below are a BERT in libtorch, one part of it each; package libtorch has the operators.
//
// # Concurrency
//
// An engine is safe for concurrent use. Close waits for calls that run.
//
// # Reproducibility
//
// On a CPU a gradient is that of the same shards, added up in the same order, whatever the number
// of threads: the same rows give the same bits on one type of machine.
package torch

import (
	"errors"
	"log/slog"
)

var (
	// ErrNotBuilt is returned by Open in a program that was built without -tags torch or without
	// cgo.
	ErrNotBuilt = errors.New("torch: not in this program: build with -tags torch")
	// ErrClosed is returned by an engine after Close.
	ErrClosed = errors.New("torch: engine closed")
)

// Config of an engine. The zero value is usable: every zero field means the default that it names.
type Config struct {
	Device  string       // cpu, cuda or auto, which takes a GPU if there is one; default auto
	Workers int          // calls that libtorch works on at once; default runtime.GOMAXPROCS(0), 2 at least
	Threads int          // threads that such calls share on a CPU; default runtime.GOMAXPROCS(0)
	Logger  *slog.Logger // default: silence
}

// What decides between CPU and GPU, and how much a GPU takes at once. None of these numbers has
// been measured: there was no card. scripts/gpukit.sh measures what they should be (docs/gpu.md).
const (
	// CUDAFromRows is the number of texts from which Embed on a GPU leaves the CPU.
	CUDAFromRows = 16
	// CUDAPassTokens are the tokens, with padding, of one pass through the encoder on a GPU.
	// MiniLM-L6 takes about 15 KB of the card's memory for each.
	CUDAPassTokens = 1 << 16
)
