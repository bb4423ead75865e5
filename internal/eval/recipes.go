//go:build cgo

package eval

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
)

// recipe is what the modes of masks vary: the learner's own for the last block, with the label prior.
func recipe() Setting {
	return Setting{Name: "random bank", Alpha: 1, Bank: Bank{Kind: "random", N: 150, Blocks: 1, Bottleneck: 24, Sigma: bank.DefaultSigmaB}, Config: learner.LastBlocks()}
}

// four makes the settings that a mode of masks tries: two sizes of the bank and two numbers of epochs, over what change makes of them.
func four(change func(*Setting)) (out []Setting) {
	for _, n := range []int{150, 400} {
		for _, epochs := range []int{10, 20} {
			s := recipe()
			s.Config.Epochs = epochs
			if n == 400 { // twice the adapters in the mean: √2 the strength
				s.Bank.N, s.Config.K, s.Bank.Sigma = 400, 100, 0.28
			}
			s.Name = fmt.Sprintf("N=%d, k=%d, %d epochs", n, s.Config.K, epochs)
			if change != nil {
				change(&s)
			}
			out = append(out, s)
		}
	}
	return out
}

// fixed makes the settings of modes whose masks are not trained: without and with LN_b's affine, and two numbers of epochs.
func fixed(change func(*Setting)) (out []Setting) {
	for _, affine := range []bool{false, true} {
		for _, epochs := range []int{10, 20} {
			s := recipe()
			s.Config.MaskRate, s.Config.Affine, s.Config.Epochs = 0, affine, epochs
			s.Name = fmt.Sprintf("bias, affine %v, %d epochs", affine, epochs)
			change(&s)
			out = append(out, s)
		}
	}
	return out
}

// alphas are four strengths of the prior, for modes that train nothing.
func alphas() (out []Setting) {
	for _, a := range []float64{0.1, 0.3, 1, 3} {
		s := recipe()
		s.Alpha, s.Name = a, fmt.Sprintf("random bank, α=%g", a)
		out = append(out, s)
	}
	return out
}

// joint are four ways to go on from a bank that was trained with the first people's masks.
func joint() (out []Setting) {
	for _, rate := range []float64{0.1, 0.2} {
		for _, affine := range []bool{false, true} {
			s := recipe()
			s.Bank.Kind, s.Bank.Sigma = "joint", 0.3
			s.Config.MaskRate, s.Config.Affine = rate, affine
			s.Name = fmt.Sprintf("joint bank, mask rate %g, affine %v", rate, affine)
			out = append(out, s)
		}
	}
	return out
}

// maskModes are profiles of masks, and what is left of them without one part or another.
func maskModes() []Mode {
	return []Mode{
		{"x_peft", "hard masks, label prior and bias", four(nil), xpeft},
		{"random_masks", "masks that stay as they start, at random, label prior and bias, with and without affine", fixed(func(*Setting) {}), xpeft},
		{"uniform_trained", "the same over the bank's uniform average", fixed(func(s *Setting) { s.Config.K = s.Bank.N }), xpeft},
		{"uniform", "the bank's uniform average and the label prior, nothing trained", alphas(), untrained(uniform)},
		{"nearest", "the mask of the bank's person with the most alike labels, and the own label prior, nothing trained", alphas(), untrained(nearest)},
		{"x_peft_soft", "soft masks, which no profile stores", four(func(s *Setting) { s.Config.Soft = true }), xpeft},
		{"x_peft_one_mask", "one mask for both sides", four(func(s *Setting) { s.Config.OneMask = true }), xpeft},
		{"x_peft_affine", "and LN_b's affine", four(func(s *Setting) { s.Config.Affine = true }), xpeft},
		{"x_peft_no_prior", "without the label prior", four(func(s *Setting) { s.Alpha = 0 }), xpeft},
		{"x_peft_shaped", "over a bank that the shared head shapes", four(func(s *Setting) { s.Bank.Kind, s.Bank.Sigma, s.Config.MaskRate = "shaped", 0.3, 0.2 }), xpeft},
		{"x_peft_average", "the average of three trainings", four(func(s *Setting) { s.Config.Runs, s.Config.Nu = 3, 0.3 }), xpeft},
		{"x_peft_all", "adapters in all blocks", four(func(s *Setting) { s.Bank.Blocks, s.Bank.Sigma = 0, s.Bank.Sigma/4 }), xpeft},
		{"warm", "over a bank trained jointly with the bank's people, from their mean logits", joint(), xpeft},
		{"warm_apart", "over adapters trained apart, one a person: the paper's warm start", four(func(s *Setting) { s.Bank.Kind = "apart" }), xpeft},
	}
}
