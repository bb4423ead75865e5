// Package libtorch is the one importer of libtorch, through gotch's libtch bindings. It turns
// handles, threads and C++ exceptions into scopes, engines and Go errors, so that the packages
// above it read like the paper.
//
//   - [Engine]: a few goroutines, each locked to its OS thread for ever, that run closures.
//   - [Scope]: the life of the tensors that one closure makes; its methods are the operators.
//   - [Tensor]: a handle that is valid until its scope ends.
//   - [Held]: a tensor taken out of a scope, freed by hand: weights, banks, folded adapters.
//
// An operator that fails panics with *[Error]; [Engine.Do] recovers that type alone and returns it:
//
//	err := engine.Do(ctx, func(s *libtorch.Scope) error {
//		x := s.Float32s([]float32{1, 2, 3, 4}, 2, 2)
//		y := s.MatMul(x, x)
//		return s.ReadFloat32s(y, out)
//	})
//
// # Memory
//
// Go's collector does not see libtorch's memory. A scope frees what it made when the closure
// returns, errs or panics; [Scope.Free] and [Scope.Block] free earlier, inside a deep forward.
// [Engine.Live] counts the handles that are left.
//
// # Threads
//
// [Config] says how many closures run at once and how many threads an operator of theirs may use:
// threads.go has the policy. A closure whose work has parts runs them side by side with
// [Scope.Fork].
//
// # Gradients
//
// libtorch's gradient mode belongs to an OS thread. It is off on every engine thread, on inside
// [Engine.Train] alone, and off again by defer, whatever the closure does.
//
// # Concurrency
//
// An Engine is safe for concurrent use. A Scope and its Tensors belong to the closure that got
// them; parts of a Fork may read them. A Held may be read by any number of closures at once; it
// must not be freed while one of them runs.
package libtorch
