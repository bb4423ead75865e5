package digits

import "math"

// UnknownLoss is the loss of an example whose label a side does not have, and the most that one
// example counts: that of a probability of 1e-12.
const UnknownLoss = 27.6

// Answer is what one side said of an example that it had not learned from.
type Answer struct {
	Known bool // else nothing is known, and nothing is compared
	Label int  // the most probable one; -1 where only Right is known
	Right bool
	Loss  float64 // −log of the right label's probability, at most UnknownLoss
	Fresh bool    // of the side that was served: it came after its last training, and was answered by it
}

// OutOfFold is what log-probabilities [n,C] say of examples. A rejection has no right answer; what
// no fold could answer is not a number.
func OutOfFold(logProb []float32, p *Person) []Answer {
	out := make([]Answer, len(p.Class))
	for i, class := range p.Class {
		z := logProb[i*p.C : (i+1)*p.C]
		if p.Rejected != nil && p.Rejected[i] || z[class] != z[class] {
			continue
		}
		best := 0
		for c := range z {
			if z[c] > z[best] {
				best = c
			}
		}
		out[i] = Answer{Known: true, Label: best, Right: best == class, Loss: min(UnknownLoss, -float64(z[class]))}
	}
	return out
}

// Score is a mean over answers.
type Score struct {
	N              int
	Accuracy, Loss float64
}

// Scores are those of two sides, on the examples of which both are known.
func Scores(before, after []Answer) (b, a Score) {
	for i := range after {
		if before[i].Known && after[i].Known {
			b.add(before[i])
			a.add(after[i])
		}
	}
	return b.mean(), a.mean()
}

func (s *Score) add(a Answer) {
	s.N++
	s.Loss += a.Loss
	if a.Right {
		s.Accuracy++
	}
}

func (s Score) mean() Score {
	n := float64(max(1, s.N))
	return Score{s.N, s.Accuracy / n, s.Loss / n}
}

func (s Score) right() int { return int(math.Round(s.Accuracy * float64(s.N))) }

// Verdict is what Judge finds.
type Verdict int

const (
	Better    Verdict = iota // no worse in loss, and nothing forbids it
	Untested                 // there is nothing to compare
	Loss                     // the loss is worse, on all or on the older examples
	Fewer                    // the loss is no worse, but accuracy falls by more than mostLost examples
	Forgotten                // the loss is no worse, but all that was right of a label is lost
)

const (
	mostLost = 2 // examples by which accuracy may fall where the loss is better
	// leastGained is how many more of the fresh examples must be answered right before anything may
	// be lost on the older ones: those who changed their mind.
	leastGained = 3
	// of a label with fewestOfLabel examples, at least fewestRight of which were answered right,
	// not all may be lost.
	fewestOfLabel, fewestRight = 5, 2
)

// Judge compares what was learned with what was served before, each by answers to examples that it
// had not learned from: by the mean loss, weighted as it is learned. Labels that are wrong must not
// vote for themselves: what learns from them is less sure of itself, and has a better loss on them
// for that alone. So the loss of the examples that are not fresh may not rise either, and the
// served side must be better on the fresh ones than base and prior alone, whose answers out of fold
// are prior. Where that is not so the person may have changed their mind, and shows it in the fresh
// ones: three more of them right, and twice as many as are lost on the older ones (or just more, if
// they bring a label that the served side does not have), count for more. Accuracy and a label's
// recall can only forbid, and only where they fall by more than chance does. label is the one that
// is forgotten.
func Judge(p *Person, before, after, prior []Answer) (v Verdict, label int) {
	s := newSides(p, before, after, prior)
	b, a := Scores(before, after)
	switch {
	case a.N == 0:
		return Untested, -1
	case s.loss[1] > s.loss[0], !s.agree() && !s.changed():
		return Loss, -1
	case a.right() < b.right()-mostLost:
		return Fewer, -1
	}
	if c := forgotten(p.Class, p.C, before, after); c >= 0 {
		return Forgotten, c
	}
	return Better, -1
}

// sides are the sums of what was served, of what was learned and of the prior, over the older
// examples and over the fresh ones.
type sides struct {
	before, after, prior [2]Score
	loss                 [2]float64 // of all, before and after
	unknown              bool       // a fresh one has a label that the served side does not
}

func newSides(p *Person, before, after, prior []Answer) (s sides) {
	for i := range after {
		if !before[i].Known || !after[i].Known {
			continue
		}
		part := 0
		if before[i].Fresh {
			part = 1
			s.unknown = s.unknown || before[i].Loss == UnknownLoss
		}
		w := p.weight(i)
		for _, x := range []struct {
			to *Score
			a  Answer
		}{{&s.before[part], before[i]}, {&s.after[part], after[i]}, {&s.prior[part], prior[i]}} {
			x.a.Loss *= w
			x.to.add(x.a)
		}
		s.loss[0] += w * before[i].Loss
		s.loss[1] += w * after[i].Loss
	}
	return s
}

func (p *Person) weight(i int) float64 { return weightOf(p.Weight, i) }

// weightOf is an example's weight.
func weightOf(weights []float32, i int) float64 {
	if weights == nil || weights[i] == 0 {
		return 1
	}
	return float64(weights[i])
}

// agree says whether the older examples are answered no worse, and the fresh ones are such as the
// served side expects.
func (s *sides) agree() bool {
	return s.after[0].Loss <= s.before[0].Loss && s.before[1].Loss <= s.prior[1].Loss
}

// changed says whether the fresh ones gain enough to make up for what the older ones lose.
func (s *sides) changed() bool {
	lost, gained := s.before[0].Accuracy-s.after[0].Accuracy, s.after[1].Accuracy-s.before[1].Accuracy
	return gained >= leastGained && (gained >= 2*lost || s.unknown && gained > lost)
}

// forgotten is a label of which all is lost, -1 if none is.
func forgotten(class []int, labels int, before, after []Answer) int {
	n, was, is := make([]int, labels), make([]int, labels), make([]int, labels)
	for i, c := range class {
		if !before[i].Known || !after[i].Known {
			continue
		}
		n[c]++
		if before[i].Right {
			was[c]++
		}
		if after[i].Right {
			is[c]++
		}
	}
	for c := range n {
		if n[c] >= fewestOfLabel && was[c] >= fewestRight && is[c] == 0 {
			return c
		}
	}
	return -1
}
