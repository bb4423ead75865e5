package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/store"
)

// learnDigits learns a code of digits, in head space alone: φ of each text once, a convex fit, and
// folds to judge it by.
func (l *learning) learnDigits(ctx context.Context) (err error) {
	if l.sdk.options.multi {
		return l.learnSets(ctx)
	}
	if l.phi, err = l.sdk.features(ctx, encodings(l.examples)); err != nil {
		return err
	}
	l.who = l.along(l.phi, numbered(0, len(l.examples)))
	res, err := l.fit(ctx, l.who, l.phi)
	if err != nil {
		return err
	}
	code, err := l.jointCode(ctx, l.who, l.phi, res)
	if err != nil {
		return err
	}
	l.beyond = l.beyondPrior(res)
	if l.record, err = l.codeRecord(res, code); err != nil {
		return err
	}
	if l.logProb = res.LogProb; code != nil {
		l.logProb = code.logProb
	}
	l.after, l.prior, l.outcome.start = digits.OutOfFold(l.logProb, l.who), digits.OutOfFold(res.PriorLogProb, l.who),
		StartFresh
	return nil
}

// fit learns from all examples, and once more, the older ones weighing less, if the newest say that
// the person changed their mind.
func (l *learning) fit(ctx context.Context, who *digits.Person, phi []float32) (*digits.Result, error) {
	res, err := digits.Learn(ctx, who, nil)
	if err != nil {
		return nil, err
	}
	first, err := l.changed(ctx, who, res, phi)
	if err != nil || first < 0 {
		return res, err
	}
	l.fade(who, first)
	return digits.Learn(ctx, who, nil)
}

// along is some of the profile's examples as they lie along the axes.
func (l *learning) along(phi []float32, which []int) *digits.Person {
	p, h, D := l.sdk, l.head, l.sdk.axes.Dim()
	who := &digits.Person{A: p.axes.Count(), C: len(h.Labels), Digits: p.axes.Digits,
		Prior: func(counts []uint32) []float32 { return h.Prior(counts, priorStrength) }}
	if who.Biases = l.biases; l.options.DropExamples { // those learned before are known by their counts only
		who.Counted, who.Biases = l.counts(nil), 0
	}
	for _, i := range which {
		e, x := l.examples[i], phi[i*D:(i+1)*D]
		who.P, who.Base = p.axes.Project(who.P, x), h.Logits(who.Base, x)
		l.texts.addText(who.Base[len(who.Base)-who.C:], &e.Text, nil)
		weight := weightOf(e.Weight)
		if l.faded(i) {
			weight *= fadedWeight
		}
		who.Class, who.Weight, who.Rejected = append(who.Class, e.Class), append(who.Weight, weight),
			append(who.Rejected, e.Rejected)
	}
	return who
}

// codeRecord is the result as it will be stored: the joint code, if there is one. Without digits,
// where nothing is better than the prior, it is the prior alone.
func (l *learning) codeRecord(res *digits.Result, code *jointCode) (rec *store.Profile, err error) {
	if rec, err = l.priorRecord(); err != nil {
		return nil, err
	}
	if code != nil {
		rec.Codes = code.bank.code(code.row)
		rec.Bias, err = encodeBias(code.bias)
		return rec, err
	}
	if len(res.Labels) == 0 {
		return rec, nil
	}
	rec.Codes = []store.Code{{Bank: l.sdk.axes.ref, K: l.sdk.axes.K(), Labels: res.Labels, Rows: res.Rows,
		Scales: res.Scales}}
	if rec.Temperature = res.Temperature; rec.Temperature == 128 { // of 1
		rec.Temperature = 0
	}
	rec.Bias, err = encodeBias(sum(l.beyond, res.Bias))
	return rec, err
}

// digitsThen are the answers out of fold of a training of the kind that made what is served, to the
// examples that it had.
func (l *learning) digitsThen(ctx context.Context, had []int) ([]digits.Answer, error) {
	if l.sdk.options.multi {
		return l.setsThen(ctx, had)
	}
	then := l.along(l.phi, had)
	logProb, err := l.logProbThen(ctx, then, l.phi, had)
	if err != nil {
		return nil, err
	}
	out := make([]digits.Answer, len(l.examples))
	for n, a := range digits.OutOfFold(logProb, then) {
		out[had[n]] = a
	}
	return out, nil
}

// logProbThen is what a training of the kind that made what is served says out of fold.
func (l *learning) logProbThen(ctx context.Context, then *digits.Person, phi []float32, had []int) ([]float32, error) {
	if j := l.old.joint; j != nil && j.head == l.headRef {
		return j.outOfFold(ctx, then, j.rows(nil, encodings(l.pick(had)), rowsOf(phi, had, j.Dim())))
	}
	res, err := digits.Learn(ctx, then, nil)
	if err != nil {
		return nil, err
	}
	return res.LogProb, nil
}

// rowsOf are some of the rows of values of a width.
func rowsOf(x []float32, which []int, width int) []float32 {
	var out []float32
	for _, i := range which {
		out = append(out, x[i*width:(i+1)*width]...)
	}
	return out
}

// Where a population says so, biases that are fitted to a person's examples take the label prior's
// place: these know which labels were no surprise in their texts, counts do not. A record has them
// as what they are beyond the prior of its counts, so that it is read as any other.

// biasPrecision is the precision of new profiles' biases that the last TrainBank found; 0: the
// label prior serves.
func (p *Folder) biasPrecision() (float64, error) {
	bits, err := p.metaNumber(metaBiases, "precision of biases", "the precision of biases")
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	v := math.Float32frombits(bits)
	if !(v >= 0 && v <= math.MaxFloat32) {
		return 0, fmt.Errorf("%w: biases of the precision %g", ErrCorrupt, v)
	}
	return float64(v), nil
}

func (p *Folder) putBiasPrecision(ctx context.Context, v float64) error {
	return p.store.PutMeta(ctx, metaBiases, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v))))
}

// beyondPrior is what fitted biases are beyond the prior of the same examples' counts; nil: that
// prior serves.
func (l *learning) beyondPrior(res *digits.Result) []float32 {
	if res.Biases == nil {
		return nil
	}
	out := make([]float32, len(res.Biases))
	for c, prior := range l.head.Prior(l.counts(l.examples), priorStrength) {
		out[c] = res.Biases[c] - prior
	}
	return out
}

// learnsEarly says whether one example says more through a Learn than by its label's count: where
// the population has axes, or fitted biases.
func (p *Folder) learnsEarly() bool {
	j, err := p.newcomersJoint()
	if err != nil || j != nil {
		return err == nil
	}
	v, err := p.biasPrecision()
	return err == nil && v > 0
}
