package eval

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
)

// recipe is the training of the SDK for a new person once it has a trained shared head: what the
// modes of masks vary.
func recipe() Setting {
	return Setting{Name: "as the SDK", Alpha: 3,
		Bank:   Bank{Kind: "random", N: 150, Blocks: 1, Bottleneck: 24, Sigma: bank.DefaultSigmaB},
		Config: learner.LastBlocks()}
}

// four makes the settings that a mode of masks tries: the recipe, half its epochs, and both with
// masks that move three times as fast, over what change makes of them.
func four(change func(*Setting)) (out []Setting) {
	for _, rate := range []float64{0.1, 0.3} {
		for _, epochs := range []int{20, 10} {
			s := recipe()
			s.Config.MaskRate, s.Config.Epochs = rate, epochs
			s.Name = fmt.Sprintf("mask rate %g, %d epochs", rate, epochs)
			if change != nil {
				change(&s)
			}
			out = append(out, s)
		}
	}
	return out
}

// fixed makes the settings of modes whose masks are not trained: all else is, from next to nothing
// or from the bank's own affine.
func fixed(change func(*Setting)) (out []Setting) {
	for _, gain := range []float64{0.05, 1} {
		for _, epochs := range []int{20, 10} {
			s := recipe()
			s.Config.MaskRate, s.Config.Gain, s.Config.Epochs = 0, gain, epochs
			s.Name = fmt.Sprintf("affine from %g, %d epochs", gain, epochs)
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

// maskModes are masks as package learner trains them, and what is left of them without one part or
// another: the SDK has no such calls.
func maskModes() []Mode {
	return []Mode{
		{"masks", "hard masks, LN_b's affine and the label prior, from scratch and from all training texts",
			four(nil), xpeft, nil},
		{"random_masks", "masks that stay as they start, at random; LN_b's affine is trained",
			fixed(func(*Setting) {}), xpeft, nil},
		{"uniform_trained", "the same over the bank's uniform average",
			fixed(func(s *Setting) { s.Config.K = s.Bank.N }), xpeft, nil},
		{"uniform", "the bank's uniform average and the label prior, nothing trained", alphas(), untrained(uniform),
			nil},
		{"nearest", "the mask and affine of the bank's person with the most alike labels, and the own label prior, " +
			"nothing trained", alphas(), untrained(nearest), nil},
		{"masks_soft", "soft masks, which no profile stores", four(func(s *Setting) { s.Config.Soft = true }), xpeft,
			nil},
		{"masks_one_mask", "one mask for both sides", four(func(s *Setting) { s.Config.OneMask = true }), xpeft, nil},
		{"masks_no_affine", "without LN_b's affine",
			four(func(s *Setting) { s.Config.Affine, s.Config.Gain = false, 1 }), xpeft, nil},
		{"masks_no_prior", "without the label prior", four(func(s *Setting) { s.Alpha = 0 }), xpeft, nil},
		{"masks_shaped", "over a bank that the shared head shapes",
			four(func(s *Setting) { s.Bank.Kind, s.Bank.Sigma, s.Config.MaskRate = "shaped", 0.3, 0.2 }), xpeft, nil},
		{"masks_all", "adapters in all blocks", four(func(s *Setting) { s.Bank.Blocks = 0 }), xpeft, nil},
		{"warm_apart", "over adapters trained apart, one a person: the paper's warm start",
			four(func(s *Setting) { s.Bank.Kind = "apart" }), xpeft, nil},
	}
}
