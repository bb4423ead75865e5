//go:build torch && cgo

package libtorch

// Fork runs f(0, …) to f(n-1, …) side by side while its own closure waits, and returns what each
// handed over: tensors that s owns from then on. Each gets a scope of its own, with gradients if
// those of s are on, on one of the engine's Threads fork threads. Parts that need nothing of each
// other are faster so than one after another with every operator split. What s owns may be read in
// all of them, and must not be changed. They start in order. The first error is returned when all
// have ended, or the *Error of a failed operator. n of 1, and a device that is no CPU, run in s
// itself. A part must not fork.
func (s *Scope) Fork(n int, f func(i int, s *Scope) ([]Tensor, error)) ([][]Tensor, error) {
	out := make([][]Tensor, n)
	if s.Forks() == 1 || n == 1 {
		for i := range n {
			mark := len(s.owned)
			ts, err := f(i, s)
			if err != nil {
				return nil, err
			}
			ts = s.release(ts)
			s.freeFrom(mark)
			out[i] = s.adopt(ts)
		}
		return out, nil
	}
	jobs := make([]*job, n)
	for i := range jobs {
		jobs[i] = &job{train: s.train, done: make(chan struct{})}
		jobs[i].f = func(part *Scope) error {
			ts, err := f(i, part)
			out[i] = part.release(ts)
			return err
		}
		s.engine.forks <- jobs[i]
	}
	for i, j := range jobs {
		<-j.done
		out[i] = s.adopt(out[i])
	}
	for _, j := range jobs {
		if j.panic != nil {
			panic(j.panic)
		}
		if j.err != nil {
			return nil, j.err
		}
	}
	return out, nil
}

// Forks is how many parts of a Fork run at once.
func (s *Scope) Forks() int {
	if s.engine.device != codeCPU {
		return 1
	}
	return s.engine.config.Threads
}

// release takes tensors out of the scope; they stay alive.
func (s *Scope) release(ts []Tensor) []Tensor {
	for _, t := range ts {
		if i := s.find(t); i >= 0 {
			s.owned[i] = Tensor{}
		}
	}
	return ts
}

// adopt makes the scope own tensors that another one released.
func (s *Scope) adopt(ts []Tensor) []Tensor {
	out := make([]Tensor, len(ts))
	for i, t := range ts {
		s.serial++
		out[i] = Tensor{t.c, s.serial}
	}
	s.owned = append(s.owned, out...)
	return out
}
