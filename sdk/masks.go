package sdk

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// errDiverged is a training that ended in something that is not a number.
var errDiverged = errors.New("sdk: training diverged; nothing was changed")

// masking is the trainings of a learning of masks.
type masking struct {
	texts  *learner.Prepared // of the examples
	start  learner.Start
	folds  []*trial
	then   []*trial // of the examples that the served revision learned from, where it is not known what it answered
	all    *trial
	trains []*trial // those of them that have an example
}

// trial is one training.
type trial struct {
	digits.Fold
	scale  scaling
	job    learner.Job
	result *learner.Result
}

// learnMasks trains all folds of all tasks of one bank and configuration together, and each task on
// all its examples. A task that cannot be trained ends, and the others go on.
func (p *Folder) learnMasks(ctx context.Context, tasks []*task) {
	for some := range affordable(tasks, p.encoder.Hidden()) {
		l := some[0].learning
		var texts []learner.Example
		for _, t := range some {
			texts = append(texts, t.learning.examples...)
		}
		all, err := learner.PrepareFor(ctx, p.env(l.bank), texts, l.config)
		at := 0
		for _, t := range some {
			n := len(t.learning.examples)
			if t.result.Err = corrupt("bank", err); err == nil {
				t.result.Err = t.learning.plan(all.Pick(numbered(at, at+n)))
			}
			at += n
		}
		p.train(ctx, some)
		for _, t := range some {
			if t.result.Err == nil {
				t.result.Err = t.learning.answer(ctx)
			}
		}
	}
}

// affordable yields as many tasks as their texts' states have room for at once, one at least.
func affordable(tasks []*task, hidden int) iter.Seq[[]*task] {
	return func(yield func([]*task) bool) {
		for first := 0; first < len(tasks); {
			end, room := first, tasks[first].learning.config.StemBudget
			for ; end < len(tasks); end++ {
				for _, e := range tasks[end].learning.examples {
					room -= int64(4 * hidden * len(e.Text.IDs))
				}
				if room < 0 && end > first {
					break
				}
			}
			if !yield(tasks[first:end]) {
				return
			}
			first = end
		}
	}
}

// plan decides a task's trainings: one a fold, and one on all.
func (l *learning) plan(texts *learner.Prepared) (err error) {
	all := numbered(0, len(l.examples))
	l.masks, l.who = &masking{texts: texts}, l.persons(all)
	if l.masks.start, l.outcome.start, err = l.begin(); err != nil {
		return err
	}
	if l.masks.folds, err = l.trials(all); err != nil {
		return err
	}
	if had := l.forgottenAnswers(); len(had) > 0 {
		if l.masks.then, err = l.trials(had); err != nil {
			return err
		}
	}
	l.masks.all = l.trial(digits.Fold{Train: all})
	for _, t := range slices.Concat(l.masks.folds, l.masks.then, []*trial{l.masks.all}) {
		if len(t.Train) > 0 {
			l.masks.trains = append(l.masks.trains, t)
		}
	}
	return nil
}

// begin is where a training of masks begins. From the examples that earlier trainings had it begins
// with nothing, so that no fold knows what it is asked about; where none of those is stored, with
// the profile's mask, which is all that is left of them.
func (l *learning) begin() (st learner.Start, from Start, err error) {
	if !l.goesOn {
		return st, StartFresh, nil
	}
	st.Logits = learner.FromMask(l.old.mask)
	if l.headRef != 0 && l.old.bias != nil {
		st.Bias = make([]float32, len(l.head.Labels))
		for c, label := range l.old.head.Labels {
			if at, ok := l.head.Label(label); ok {
				st.Bias[at] = l.old.bias[c]
			}
		}
	}
	st.Affine, err = l.old.affine()
	return st, StartProfile, err
}

// persons is some of the examples as package digits deals them into folds, which depend on nothing
// but the texts and the labels.
func (l *learning) persons(which []int) *digits.Person {
	who := &digits.Person{A: 1, Digits: 1, C: max(2, l.head.Outputs())}
	for n, e := range l.pick(which) {
		who.P, who.Class = append(who.P, float32(l.merged[which[n]].Key>>40)), append(who.Class, e.Class)
		who.Weight, who.Rejected = append(who.Weight, weightOf(e.Weight)), append(who.Rejected, e.Rejected)
	}
	who.Base = make([]float32, len(which)*who.C)
	return who
}

// trials are those of the folds of some examples.
func (l *learning) trials(which []int) (out []*trial, err error) {
	folds, err := digits.Folds(l.persons(which), nil)
	given := func(in []int) (out []int) {
		for _, i := range in {
			out = append(out, which[i])
		}
		return out
	}
	for _, f := range folds {
		out = append(out, l.trial(digits.Fold{Train: given(f.Train), Test: given(f.Test)}))
	}
	return out, err
}

// trial is the training of a fold: under the prior of its own counts and, of numbers, in the unit
// of its own.
func (l *learning) trial(f digits.Fold) *trial {
	t, train := &trial{Fold: f}, l.pick(f.Train)
	var head *model.Head
	head, t.scale = l.standardise(train)
	t.job = learner.Job{Head: head, Rows: l.rows, Train: t.scale.apply(train), Start: l.masks.start,
		Prepared: l.masks.texts.Pick(f.Train)}
	if l.headRef != 0 {
		t.job.Prior = head.Prior(l.counts(train), priorStrength)
	}
	return t
}

// train runs the trainings of tasks of one bank and configuration in joint steps.
func (p *Folder) train(ctx context.Context, tasks []*task) {
	left := slices.DeleteFunc(slices.Clone(tasks), func(t *task) bool { return t.result.Err != nil })
	for len(left) > 0 {
		var jobs []learner.Job
		var trials []*trial
		var of []int // whose they are
		for i, t := range left {
			for _, x := range t.learning.masks.trains {
				jobs, trials, of = append(jobs, x.job), append(trials, x), append(of, i)
			}
		}
		c, whole := left[0].learning.config,
			func(job int) bool { return trials[job] == left[of[job]].learning.masks.all }
		if f := left[0].learning.options.Progress; f != nil { // which hears of one training a task
			c.Progress = func(x learner.Progress) {
				if whole(x.Job) {
					f(x.Step, x.Steps, x.Loss)
				}
			}
		}
		out, err := learner.LearnMany(ctx, p.env(left[0].learning.bank), jobs, c)
		if bad := new(learner.JobError); errors.As(err, &bad) {
			i := of[bad.Job]
			left[i].result.Err = bad.Err
			left = slices.Delete(left, i, i+1)
			continue
		}
		for _, t := range left {
			t.result.Err = corrupt("bank", err)
		}
		for i := range out {
			trials[i].result = out[i].Result
			if t := left[of[i]]; t.result.Err == nil {
				t.result.Err = out[i].Err
			}
		}
		return
	}
}

// answer asks what was learned, and what serves a newcomer, about the examples that each fold was
// not given, and makes the record of the training on all.
func (l *learning) answer(ctx context.Context) (err error) {
	m := l.masks
	if l.record, err = l.maskRecord(m.all.result, m.all.scale); err != nil {
		return err
	}
	l.losses = m.all.result.Losses
	if _, err := l.under(ctx, l.record, nil, m.all.Train); err != nil {
		return err
	}
	sums, priors, counts := make([]float64, len(l.examples)*l.head.Outputs()),
		make([]float64, len(l.examples)*l.head.Outputs()), make([]int, len(l.examples))
	bare, err := m.texts.Embed(ctx, l.sdk.env(l.bank), nil)
	if err != nil {
		return err
	}
	for _, t := range m.folds {
		h := t.scale.undo(t.job.Head)
		prior := outputs(h, t.job.Prior, rowsOf(bare, t.Test, h.Hidden))
		learned, err := l.trialSays(ctx, t)
		if err != nil {
			return err
		}
		if learned == nil {
			learned = prior
		}
		add(sums, learned, t.Test, counts)
		add(priors, prior, t.Test, nil)
	}
	l.after, l.logProb = l.meanAnswers(sums, counts)
	l.prior, _ = l.meanAnswers(priors, counts)
	return nil
}

// thenAnswers are the answers out of fold of the training that made what is served, run again.
func (l *learning) thenAnswers(ctx context.Context) ([]digits.Answer, error) {
	sums, counts := make([]float64, len(l.examples)*l.head.Outputs()), make([]int, len(l.examples))
	for _, t := range l.masks.then {
		says, err := l.trialSays(ctx, t)
		if err != nil {
			return nil, err
		}
		if says != nil {
			add(sums, says, t.Test, counts)
		}
	}
	out, _ := l.meanAnswers(sums, counts)
	return out, nil
}

// trialSays is what a training answers about the examples that it was not given; nil if it was
// given none.
func (l *learning) trialSays(ctx context.Context, t *trial) ([]float64, error) {
	if t.result == nil {
		return nil, nil
	}
	rec, err := l.maskRecord(t.result, t.scale)
	if err != nil {
		return nil, err
	}
	return l.under(ctx, rec, l.pick(t.Train), t.Test)
}

// under is what a revision says of some examples, as it would be served, but with the prior of what
// it was trained on.
func (l *learning) under(ctx context.Context, rec *store.Profile, train []learner.Example, which []int) ([]float64,
	error) {
	snap, err := l.sdk.open(rec)
	if err != nil {
		return nil, err
	}
	a, err := snap.fold()
	if err != nil {
		return nil, err
	}
	x, err := l.masks.texts.Pick(which).Embed(ctx, l.sdk.env(l.bank), a)
	if err != nil {
		return nil, err
	}
	out := outputs(snap.head, snap.offsetWith(l.counts(train)), x)
	if slices.ContainsFunc(out, func(v float64) bool { return v-v != 0 }) {
		return nil, errDiverged
	}
	return out, nil
}

// outputs are a head's probabilities of embeddings, [n,C], or its numbers, [n].
func outputs(h *model.Head, offset, x []float32) (out []float64) {
	for ; len(x) > 0; x = x[h.Hidden:] {
		z := numeric.Widen(h.Logits(nil, x[:h.Hidden]))
		if !h.Regression() {
			numeric.Add(z[:len(offset)], 1, numeric.Widen(offset))
			numeric.Softmax(z)
		}
		out = append(out, z...)
	}
	return out
}

// add adds rows to those of some examples, and counts them.
func add(sums, rows []float64, which, counts []int) {
	for n, i := range which {
		width := len(rows) / len(which)
		numeric.Add(sums[i*width:(i+1)*width], 1, rows[n*width:(n+1)*width])
		if counts != nil {
			counts[i]++
		}
	}
}

// meanAnswers are the answers that several folds gave, averaged in probability or, of numbers, in
// value, and the logarithms of the probabilities.
func (l *learning) meanAnswers(sums []float64, counts []int) (out []digits.Answer, logProb []float32) {
	if l.head.Regression() {
		for i, e := range l.examples {
			miss := sums[i]/float64(counts[i]) - float64(e.Target)
			out = append(out, digits.Answer{Known: counts[i] > 0, Loss: miss * miss})
		}
		return out, nil
	}
	for at, sum := range sums {
		logProb = append(logProb, float32(max(math.Log(sum/float64(counts[at/l.head.Outputs()])),
			-2*digits.UnknownLoss)))
	}
	return digits.OutOfFold(logProb, l.who), logProb
}

// maskRecord is a result as it will be stored. What is measured is what is stored: affine and bias
// are rounded to 8 bits.
func (l *learning) maskRecord(res *learner.Result, scale scaling) (rec *store.Profile, err error) {
	rec = l.newRecord()
	rec.Bank, rec.Mask = l.bankRef, res.Mask
	props := l.bank.Properties()
	if props.NormB && (l.config.Affine || l.config.Top > 0 || l.masks.start.Affine != nil) {
		if rec.Affine, err = props.EncodeAffine(res.Affine, l.bank.Affine()); err != nil {
			return nil, err
		}
	}
	if l.headRef == 0 {
		head := scale.undo(res.Head)
		head.Counts = count(l.examples, head)
		rec.OwnHead, err = head.MarshalBinary()
		return rec, err
	}
	if rec.Bias, err = encodeBias(res.Bias); err != nil {
		return nil, err
	}
	rec.OwnHead, err = l.ownRows(res.Head, rec.Prior)
	return rec, err
}
