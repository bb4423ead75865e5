package digits

import (
	"fmt"
	"math"
	"strings"
)

// largest is the largest size of a projection or a logit that is taken: far beyond what an encoder
// gives, far below what overflows a sum.
const largest = 1e9

// finite says whether all numbers are, and within what is taken.
func finite(x []float32) bool {
	for _, v := range x {
		if !(math.Abs(float64(v)) <= largest) {
			return false
		}
	}
	return true
}

// faults collects what is wrong.
type faults []string

func (f *faults) check(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfig, strings.Join(f, "; "))
}

// check finds all faults of a person and the options, after defaults.
func check(p *Person, o Options) error {
	var f faults
	n := len(p.Class)
	f.check(n > 0, "no examples")
	f.check(p.A >= 1 && p.C >= 2 && p.Digits >= 1 && p.Digits <= 8, "%d axes of %d digits for %d labels", p.A,
		p.Digits, p.C)
	f.check(len(p.P) == n*p.A, "%d projections for %d examples on %d axes", len(p.P), n, p.A)
	f.check(len(p.Base) == n*p.C, "%d base logits for %d examples of %d labels", len(p.Base), n, p.C)
	f.check(p.Weight == nil || len(p.Weight) == n, "%d weights for %d examples", len(p.Weight), n)
	f.check(p.Rejected == nil || len(p.Rejected) == n, "%d rejections for %d examples", len(p.Rejected), n)
	f.check(p.Counted == nil || len(p.Counted) == p.C, "%d counts for %d labels", len(p.Counted), p.C)
	f.check(classesIn(p.Class, p.C), "a label outside 0 to %d", p.C-1)
	f.check(finite(p.P) && finite(p.Base), "projections or base logits that are not finite, or beyond %g", largest)
	f.check(finite(p.Weight) && notNegative(p.Weight), "weights that are negative or not finite")
	f.check(!p.Logistic || p.C == 2 && p.Biases == 0, "a logistic problem of %d labels, or beside biases", p.C)
	for _, lambda := range o.Lambdas {
		f.check(strength(lambda), "a strength of %g", lambda)
	}
	f.check(p.Biases >= 0 && p.Biases <= largest && (p.Biases == 0 || p.Counted == nil),
		"biases of the precision %g, or beside labels that were counted before", p.Biases)
	return f.err()
}

func classesIn(class []int, classes int) bool {
	for _, c := range class {
		if c < 0 || c >= classes {
			return false
		}
	}
	return true
}

func notNegative(x []float32) bool {
	for _, v := range x {
		if v < 0 {
			return false
		}
	}
	return true
}

// checkHead finds all faults of a head's examples and the options, after defaults.
func checkHead(h *Head, o HeadOptions) error {
	var f faults
	n := len(h.Class)
	f.check(n > 0, "no examples")
	f.check(h.C >= 2 && h.D >= 1, "%d labels over %d values", h.C, h.D)
	f.check(len(h.X) == n*h.D, "%d values for %d examples of %d", len(h.X), n, h.D)
	f.check(h.Weight == nil || len(h.Weight) == n, "%d weights for %d examples", len(h.Weight), n)
	f.check(h.W0 == nil || len(h.W0) == h.C*h.D, "%d weights to start from, want %d", len(h.W0), h.C*h.D)
	f.check(classesIn(h.Class, h.C), "a label outside 0 to %d", h.C-1)
	f.check(finite(h.X) && finite(h.W0), "values or weights that are not finite, or beyond %g", largest)
	f.check(finite(h.Weight) && notNegative(h.Weight), "example weights that are negative or not finite")
	f.check(o.Lambda == 0 || strength(o.Lambda), "a strength of %g", o.Lambda)
	return f.err()
}

func strength(lambda float64) bool { return lambda >= 1e-9 && lambda <= largest }
