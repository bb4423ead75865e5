//go:build torch && cgo

package libtorch

import (
	"runtime"

	"github.com/sugarme/gotch/libtch"
)

// The thread policy: who gets the cores.
//
// An engine has Config.Workers OS threads, as many as cores by default, and each runs one closure at a time. Callers beyond the workers wait
// in Go, where waiting costs nothing and their ctx is heard; sending a closure costs a few ten microseconds, so a closure is a whole request.
//
//   - The operators of Do use one thread: nothing is split, so nothing waits for the slowest part. A large batch is sharded among the workers
//     by whoever sends it. An engine of 1 worker has no others to shard among: its operators use Config.Threads.
//   - The operators of Train use Config.Threads, a team that libgomp keeps for the worker: steps follow each other, so nothing else could
//     use the other cores for them.
//   - What a step can split by itself, its texts, it gives to Scope.Fork: as many threads of their own as Config.Threads, each operator on one of them
//     unless there are fewer parts. A team has to meet after every operator; parts meet once. They are not Do's workers, so a Predict never waits for a part.
//
// docs/decisions.md has what was measured. The number of threads belongs to an OS thread, and must be set after its first operator, or another
// engine's setting takes its place: see setNumThreads.

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
