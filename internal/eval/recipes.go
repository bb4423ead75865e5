//go:build cgo

package eval

import (
	"fmt"

	"github.com/xpeft/xpeft/learner"
)

// recipe is the default: a bank that the shared head shapes, in the last block, hard masks, the label prior and a label bias.
func recipe() Setting {
	c := learner.Default()
	c.Affine, c.Runs = false, 3
	return Setting{Alpha: 1, Bank: Bank{Kind: "shaped", N: 150, Blocks: 1, Bottleneck: 24}, Config: c}
}

// four makes the settings that a mode of masks tries: two rates of the mask and two numbers of epochs, over what change makes of the default recipe.
func four(change func(*Setting)) (out []Setting) {
	for _, rate := range []float64{0.1, 0.2} {
		for _, epochs := range []int{10, 20} {
			s := recipe()
			s.Config.MaskRate, s.Config.Epochs = rate, epochs
			change(&s)
			s.Name = fmt.Sprintf("mask rate %g, %d epochs", rate, epochs)
			out = append(out, s)
		}
	}
	return out
}

// maskModes are profiles of masks, and what is left of them without one part or another.
func maskModes() []Mode {
	with := func(change func(*Setting)) []Setting { return four(change) }
	frozen := func(s *Setting) { s.Config.MaskRate, s.Config.Nu, s.Config.Runs = 0, 0, 0 }
	return []Mode{
		{"uniform", "the bank's uniform average and the label prior, nothing trained", alphas(nil), untrained(uniform)},
		{"nearest", "the mask of the bank's person with the most alike labels and the own label prior, nothing trained", alphas(nil), untrained(nearest)},
		{"uniform_trained", "the bank's uniform average; affine and bias learned", biasRates(func(s *Setting) { frozen(s); s.Config.K, s.Config.Affine = s.Bank.N, true }), xpeft},
		{"random_masks", "masks fixed at random; the bias learned", biasRates(frozen), xpeft},
		{"random_masks_affine", "masks fixed at random; affine and bias learned", biasRates(func(s *Setting) { frozen(s); s.Config.Affine = true }), xpeft},
		{"x_peft", "the default recipe: masks over a shaped bank, label prior and bias", with(func(*Setting) {}), xpeft},
		{"x_peft_affine", "and LN_b's affine", with(func(s *Setting) { s.Config.Affine = true }), xpeft},
		{"x_peft_once", "one training instead of the average of several", with(func(s *Setting) { s.Config.Runs = 1 }), xpeft},
		{"x_peft_soft", "soft masks, which no profile stores", with(func(s *Setting) { s.Config.Soft, s.Config.Nu, s.Config.Runs = true, 0, 0 }), xpeft},
		{"x_peft_one_mask", "one mask for both sides", with(func(s *Setting) { s.Config.OneMask = true }), xpeft},
		{"x_peft_no_prior", "without the label prior", with(func(s *Setting) { s.Alpha = 0 }), xpeft},
		{"x_peft_random", "over a plain random bank in the last block", with(func(s *Setting) { s.Bank.Kind, s.Bank.Sigma = "random", 0.2 }), xpeft},
		{"x_peft_random_all", "over a plain random bank in all blocks, with affine", with(func(s *Setting) {
			s.Bank.Kind, s.Bank.Sigma, s.Bank.Blocks, s.Config.Affine, s.Config.Runs = "random", 0.2, 0, true, 0
		}), xpeft},
		{"warm", "over the shaped bank trained on with the bank's people", with(func(s *Setting) { s.Bank.Kind = "joint" }), xpeft},
		{"warm_apart", "over a bank of adapters trained apart, one a person: the paper's warm start", with(func(s *Setting) { s.Bank.Kind = "apart" }), xpeft},
	}
}

// alphas are four strengths of the prior.
func alphas(change func(*Setting)) (out []Setting) {
	for _, a := range []float64{0.1, 0.3, 1, 3} {
		s := recipe()
		s.Alpha, s.Name = a, fmt.Sprintf("α=%g", a)
		if change != nil {
			change(&s)
		}
		out = append(out, s)
	}
	return out
}

// biasRates are the four settings of modes that train no mask.
func biasRates(change func(*Setting)) (out []Setting) {
	for _, rate := range []float64{0.02, 0.05} {
		for _, epochs := range []int{10, 20} {
			s := recipe()
			change(&s)
			s.Config.BiasRate, s.Config.Epochs, s.Name = rate, epochs, fmt.Sprintf("bias rate %g, %d epochs", rate, epochs)
			out = append(out, s)
		}
	}
	return out
}
