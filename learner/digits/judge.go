package digits

import "math"

// UnknownLoss is the loss of an example whose label a side does not have, and the most that one example counts: that of a probability of 1e-12.
const UnknownLoss = 27.6

// Answer is what one side said of an example that it had not learned from.
type Answer struct {
	Known bool // else nothing is known, and nothing is compared
	Label int  // the most probable one; -1 where only Right is known
	Right bool
	Loss  float64 // −log of the right label's probability, at most UnknownLoss
}

// OutOfFold is what log-probabilities [n,C] say of examples. A rejection has no right answer; what no fold could answer is not a number.
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
		out[i] = Answer{true, best, best == class, min(UnknownLoss, -float64(z[class]))}
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
	Loss                     // the loss is worse
	Fewer                    // the loss is no worse, but accuracy falls by more than mostLost examples
	Forgotten                // the loss is no worse, but most of what was right of a label is lost
)

const (
	mostLost = 2 // examples by which accuracy may fall where the loss is better
	// of a label with fewestOfLabel examples, at least fewestRight of which were answered right, half of those may be lost.
	fewestOfLabel, fewestRight = 5, 2
)

// Judge compares what was learned with what was served before, each by answers to examples that it had not learned from: by the mean loss. Accuracy and a label's recall can only
// forbid, and only where they fall by more than chance does. label is the one that is forgotten.
func Judge(class []int, labels int, before, after []Answer) (v Verdict, label int) {
	b, a := Scores(before, after)
	switch {
	case a.N == 0:
		return Untested, -1
	case a.Loss > b.Loss:
		return Loss, -1
	case a.right() < b.right()-mostLost:
		return Fewer, -1
	}
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
		if n[c] >= fewestOfLabel && was[c] >= fewestRight && 2*is[c] < was[c] {
			return Forgotten, c
		}
	}
	return Better, -1
}
