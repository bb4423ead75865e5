//go:build torch && cgo

package libtorch

// The thread policy: who gets the cores.
//
// An engine has Config.Workers OS threads, as many as cores by default, and each runs one closure
// at a time. Callers beyond the workers wait in Go, where waiting costs nothing and their ctx is
// heard; sending a closure costs a few ten microseconds, so a closure is a whole request.
//
// Every operator uses the one thread that it is called on: nothing is split, so nothing waits for
// the slowest part, sums do not depend on the number of threads, and there is no OpenMP team, whose
// threads would spin for milliseconds on cores that others need. What a closure can split by
// itself, its texts, it gives to Scope.Fork: as many threads of their own as Config.Threads. They
// are not Do's workers, so a short closure never waits for a part.
//
// docs/decisions.md has what was measured. The number of threads belongs to an OS thread, and must
// be set after its first operator, or another setting takes its place: see setNumThreads.
