package sdk

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/population"
)

// fewestToJudge is how many examples a profile along joint axes must have before anything else
// takes their place: that these axes are better than a prior at one example, at three and at ten
// was found among all people, and one person's first few examples say less.
const fewestToJudge = 10

// jointCode is a person's place on joint axes.
type jointCode struct {
	bank    *jointBank
	row     []byte
	bias    []float32
	logProb []float32 // [n,C]: of each example by codes without it
}

// chooseJoint decides which joint axes the profile may be along: those of new profiles, to whose
// head it moves, else those that it is along. A profile with labels of its own has none, nor has
// one whose earlier examples are known by their counts only.
func (l *learning) chooseJoint() error {
	now, err := l.sdk.newcomersJoint()
	if err != nil || l.old != nil && (l.old.rows > 0 || l.options.DropExamples) {
		return err
	}
	switch {
	case now == nil && l.old != nil && !l.move:
		l.joint = l.old.joint
	case now != nil:
		l.joint = now
		l.move = l.move || l.old != nil && l.old.record.Head != now.head
	}
	return nil
}

// jointCode finds the person's place on the joint axes. nil: the profile has no such axes, or it
// has outgrown them: with ten examples or more, what is learned from its own alone is better by one
// standard error, out of fold.
func (l *learning) jointCode(ctx context.Context, who *digits.Person, phi []float32, own *digits.Result) (*jointCode,
	error) {
	j := l.joint
	if j == nil || l.rows > 0 || l.headRef != j.head {
		return nil, nil
	}
	rows := j.rows(nil, encodings(l.examples), phi)
	logProb, err := j.outOfFold(ctx, who, rows)
	if err != nil {
		return nil, err
	}
	if l.outgrown(digits.OutOfFold(logProb, who), digits.OutOfFold(own.LogProb, who)) {
		return nil, nil
	}
	c, err := j.model.Fit(ctx, j.examples(who, rows, numbered(0, len(who.Class))))
	if err != nil {
		return nil, err
	}
	code := &jointCode{bank: j, row: j.Row(c.Level), logProb: logProb}
	for _, b := range c.Bias {
		code.bias = append(code.bias, float32(population.BiasOf(b)))
	}
	return code, nil
}

// outgrown says whether other answers than those along the joint axes are better by a standard
// error.
func (l *learning) outgrown(joint, other []digits.Answer) bool {
	var gains []float64
	for i := range joint {
		if joint[i].Known && other[i].Known && !l.faded(i) {
			gains = append(gains, joint[i].Loss-other[i].Loss)
		}
	}
	return len(gains) >= fewestToJudge && mean(gains) > standardError(gains)
}

// outOfFold is the log-probabilities that codes without each example give it, [n,C], on the folds
// that digits are judged by. rows are what head and axes give the examples.
func (j *jointBank) outOfFold(ctx context.Context, who *digits.Person, rows []float64) ([]float32, error) {
	folds, err := digits.Folds(who, nil)
	if err != nil {
		return nil, err
	}
	m := j.model
	sums, answers := make([]float64, len(who.Class)*m.C), make([]float64, len(who.Class))
	for _, f := range folds {
		c, err := m.Fit(ctx, j.examples(who, rows, f.Train))
		if err != nil {
			return nil, err
		}
		for _, i := range f.Test {
			p := m.Logits(nil, rows[i*m.Width():(i+1)*m.Width()], c)
			numeric.Softmax(p)
			numeric.Add(sums[i*m.C:(i+1)*m.C], 1, p)
			answers[i]++
		}
	}
	out := make([]float32, len(sums))
	for at, sum := range sums {
		out[at] = float32(max(math.Log(sum/answers[at/m.C]), -2*digits.UnknownLoss))
	}
	return out, nil
}

// examples are some of a person's for a fit. That a text is not of one label of two says that it is
// of the other; of more labels a rejection says too little to place anybody by.
func (j *jointBank) examples(who *digits.Person, rows []float64, which []int) *population.Examples {
	e, width := &population.Examples{}, j.model.Width()
	for _, i := range which {
		class := who.Class[i]
		if who.Rejected[i] {
			if j.model.C != 2 {
				continue
			}
			class = 1 - class
		}
		e.Rows, e.Class, e.Weight = append(e.Rows, rows[i*width:(i+1)*width]...), append(e.Class, class),
			append(e.Weight, float64(weightOf(who.Weight[i])))
	}
	return e
}
