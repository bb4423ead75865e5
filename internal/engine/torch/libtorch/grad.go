//go:build torch && cgo

package libtorch

import "github.com/sugarme/gotch/libtch"

// Param marks t, a leaf, as one that gradients are wanted for, and returns it. t must be the
// scope's own: a mark on a Held would outlive the closure.
func (s *Scope) Param(t Tensor) Tensor {
	libtch.AtgSetRequiresGrad(s.out(), t.c, 1)
	return s.made("param")
}

// Detach is a view of t, the scope's own, that no gradient goes through: Param marks it, not t.
func (s *Scope) Detach(t Tensor) Tensor {
	libtch.AtgDetach(s.out(), t.c)
	return s.made("detach")
}

// Grad is the gradient of a scalar loss by each parameter, inside [Engine.Train]. A parameter that
// the loss does not depend on gets an undefined tensor; the loss must depend on one of them at
// least.
func (s *Scope) Grad(loss Tensor, params ...Tensor) []Tensor {
	if !libtch.AtRequiresGrad(loss.c) { // libtorch would follow a null pointer
		panic(&Error{Op: "backward", Msg: "the loss depends on no parameter, or gradients are off"})
	}
	roots := []libtch.Ctensor{loss.c}
	inputs, grads := handles(params), make([]libtch.Ctensor, len(params))
	libtch.AtRunBackward(&roots[0], 1, &inputs[0], len(inputs), &grads[0], 0, 0)
	s.check("backward")
	out := make([]Tensor, len(grads))
	for i, g := range grads {
		out[i] = s.own("backward", g)
	}
	return out
}
