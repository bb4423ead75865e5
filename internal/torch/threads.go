//go:build cgo

package torch

import (
	"runtime"

	"github.com/sugarme/gotch/libtch"
)

// The thread policy: who gets the cores.
//
// An engine has Config.Workers OS threads. Each runs one closure at a time, whose operators may use up to Config.Threads threads, a team
// that libgomp keeps for that OS thread. Callers beyond the workers wait in Go, where waiting costs nothing and their ctx is heard; sending
// a closure costs a few ten microseconds, so a closure is a whole request.
//
//   - 1 worker of all cores serves a lone caller best: the products of one short text ran at 98 GFLOP/s on two threads and at 57 on one.
//     But a long closure, a training step say, stands in the way of every short one.
//   - As many workers as cores, each of 1 thread, wastes nothing under load: nothing is split, nothing waits for the slowest part.
//   - The default is 2 workers of all cores: a lone caller has the whole machine, a second one need not wait for the first, and while both
//     run the operating system shares the cores. That is tolerable only because waiting threads sleep: see throttleSpinning.
//
// A server whose callers are many should set Workers to its cores and Threads to 1. BenchmarkThreads in package model measures all of it.
// Teams are per OS thread, so threads, and memory for their stacks, grow as Workers × Threads. The number of threads must be set after a
// thread's first operator, or another engine's setting takes its place: see setNumThreads.

// throttleSpinning makes OpenMP threads that wait for work sleep instead of spin.
//
// libgomp spins for milliseconds by default, and its threads then take the cores from whatever else runs: with two busy processes
// beside it a two-thread forward pass took four times as long as with OMP_WAIT_POLICY=passive. A library cannot set that variable: it is
// read before main. But libgomp stops spinning by itself once it manages more threads than there are cores. So one idle OS thread
// holds a team of one thread more than the cores, until the engine closes.
func (e *Engine) throttleSpinning() {
	if e.config.Threads < 2 {
		return
	}
	ready := make(chan struct{})
	e.done.Add(1)
	go func() {
		defer e.done.Done()
		runtime.LockOSThread() // never unlocked: the team ends with the thread
		setNumThreads(runtime.NumCPU() + 1)
		touchTeam()
		close(ready)
		<-e.closed
	}()
	<-ready
}

// touchTeam runs one operator that is large enough to start the calling thread's team.
func touchTeam() {
	var x, y [4]libtch.Ctensor
	libtch.AtgOnes(&x[0], []int64{1 << 20}, 1, int32(Float32), codeCPU)
	if x[0] != nil {
		libtch.AtgAdd(&y[0], x[0], x[0])
	}
	for _, c := range []libtch.Ctensor{x[0], y[0]} {
		if c != nil {
			libtch.AtFree(c)
		}
	}
	lastError()
}
