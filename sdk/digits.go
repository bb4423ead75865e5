package sdk

import (
	"context"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/learner/digits"
	"github.com/xpeft/xpeft/store"
)

// learnDigits learns a code of digits, in head space alone: φ of each text once, a convex fit, and folds to judge it by. All examples are trained on; what is
// measured is what was learned without the example that it is measured on, on both sides.
func (l *lesson) learnDigits(ctx context.Context) (*Report, error) {
	p, all := l.sdk, l.data.train
	phi, err := p.features(ctx, encodings(all))
	if err != nil {
		return nil, err
	}
	known, err := l.readAnswers()
	if err != nil {
		return nil, err
	}
	who := l.along(phi, numbered(0, len(all)))
	res, err := l.fit(ctx, who, phi)
	if err != nil {
		return nil, err
	}
	code, err := l.jointCode(ctx, who, phi, res)
	if err != nil {
		return nil, err
	}
	rec, err := l.codeRecord(res, code)
	if err != nil {
		return nil, err
	}
	logProb := res.LogProb
	if code != nil {
		logProb = code.logProb
	}
	after, prior := digits.OutOfFold(logProb, who), digits.OutOfFold(res.PriorLogProb, who)
	before := prior
	if l.old != nil {
		served, err := l.servedAnswers(ctx, phi, known)
		if err != nil {
			return nil, err
		}
		if l.tally, err = l.tallyOf(ctx, phi, served); err != nil {
			return nil, err
		}
		if !l.first() {
			before = served
		}
	}
	rep := &Report{Profile: l.id, Examples: len(all), Truncated: l.data.truncated(), Start: StartFresh}
	for i := range after { // what weighs less is not judged by
		after[i].Known = after[i].Known && !l.faded(i)
	}
	b, a := digits.Scores(before, after)
	served := after
	rep.Before, rep.After = Score(b), Score(a)
	rep.Labels, rep.MacroF1 = labelReports(l.head.Labels, all, after)
	rep.Sure = sureOf(logProb, float64(temperature(rec.Temperature)), after)
	if rep.Installed, rep.Reason = l.judge(who, before, after, prior, rec); !rep.Installed && l.first() { // the prior serves
		rec.Codes, rec.Temperature, rep.Installed = nil, 0, true
		if rec.Bias, err = encodeBias(l.beyondPrior(res, rec.Prior)); err != nil {
			return nil, err
		}
		served = prior
	}
	rep.Moved = rep.Installed && l.old != nil && l.move
	rec.Before, rec.After = float32(rep.Before.Accuracy), float32(rep.After.Accuracy)
	if err := l.commit(ctx, rec, l.encodeAnswers(served), rep); err != nil {
		return nil, err
	}
	return rep, nil
}

// fit learns from all examples, and once more, the older ones weighing less, if the newest say that the person changed their mind.
func (l *lesson) fit(ctx context.Context, who *digits.Person, phi []float32) (*digits.Result, error) {
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
func (l *lesson) along(phi []float32, which []int) *digits.Person {
	p, h, D := l.sdk, l.head, l.sdk.axes.Dim()
	who := &digits.Person{A: p.axes.Count(), C: len(h.Labels), Digits: p.axes.Digits,
		Prior: func(counts []uint32) []float32 { return h.Prior(counts, priorStrength) }}
	if who.Biases = l.biases; l.options.DropExamples { // those learned before are known by their counts only
		who.Counted, who.Biases = l.counts(nil), 0
	}
	for _, i := range which {
		e, x := l.data.train[i], phi[i*D:(i+1)*D]
		who.P, who.Base = p.axes.Project(who.P, x), h.Logits(who.Base, x)
		l.texts.addText(who.Base[len(who.Base)-who.C:], &e.Text, nil)
		weight := weightOf(e.Weight)
		if l.faded(i) {
			weight *= fadedWeight
		}
		who.Class, who.Weight, who.Rejected = append(who.Class, e.Class), append(who.Weight, weight), append(who.Rejected, e.Rejected)
	}
	return who
}

// codeRecord is the result as it will be stored: the joint code, if there is one. Without digits, where nothing is better than the prior, it is the prior alone.
func (l *lesson) codeRecord(res *digits.Result, code *jointCode) (*store.Profile, error) {
	rec := &store.Profile{ID: l.id, Head: l.headRef, Examples: uint32(len(l.data.train)), Prior: l.counts(l.data.train)}
	if l.old != nil && l.options.DropExamples {
		rec.Examples += l.old.record.Examples
	}
	if l.rows > 0 {
		own := l.sdk.narrowed(l.head.Rows(len(l.head.Labels) - l.rows))
		own.Counts = rec.Prior[len(l.head.Labels)-l.rows:]
		var err error
		if rec.OwnHead, err = own.MarshalBinary(); err != nil {
			return nil, err
		}
	}
	if code != nil {
		rec.Codes = code.bank.code(code.row)
		var err error
		rec.Bias, err = encodeBias(code.bias)
		return rec, err
	}
	var err error
	bias := l.beyondPrior(res, rec.Prior)
	if len(res.Labels) == 0 {
		rec.Bias, err = encodeBias(bias)
		return rec, err
	}
	rec.Codes = []store.Code{{Bank: l.sdk.axes.ref, K: l.sdk.axes.K(), Labels: res.Labels, Rows: res.Rows, Scales: res.Scales}}
	if rec.Bias, err = encodeBias(sum(bias, res.Bias)); err != nil {
		return nil, err
	}
	if rec.Temperature = res.Temperature; rec.Temperature == 128 { // of 1
		rec.Temperature = 0
	}
	return rec, nil
}

// servedAnswers are what was served before about the examples that it had not learned from, and of the others what was out of fold when it learned from them: not when a training did
// whose revision was refused, though it saw them.
func (l *lesson) servedAnswers(ctx context.Context, phi []float32, kept map[uint32]digits.Answer) ([]digits.Answer, error) {
	all, out := l.data.train, make([]digits.Answer, len(l.data.train))
	if l.old.head.Regression() {
		return out, nil
	}
	known, err := l.answersThen(ctx, phi, kept)
	if err != nil {
		return nil, err
	}
	var ask []int
	for i, e := range all {
		switch a, ok := known[l.answerKey(i)]; {
		case ok:
			out[i] = a
		case l.faded(i):
		case !e.Known || l.old.digits() || e.Held: // masks were never trained on what they held back
			ask = append(ask, i)
		}
	}
	return out, l.ask(ctx, phi, ask, out)
}

// answersThen are those out of fold from the training that made what is served. Where they are not kept, as after a Rollback, that training runs again on the same folds: it
// needs no more than the examples that it had.
func (l *lesson) answersThen(ctx context.Context, phi []float32, known map[uint32]digits.Answer) (map[uint32]digits.Answer, error) {
	if len(known) > 0 || !l.old.digits() || !learned(l.old.record) {
		return known, nil
	}
	var had []int
	for i, e := range l.data.train {
		if e.Known {
			had = append(had, i)
		}
	}
	if len(had) == 0 {
		return known, nil
	}
	then := l.along(phi, had)
	logProb, err := l.logProbThen(ctx, then, phi, had)
	if err != nil {
		return nil, err
	}
	known = map[uint32]digits.Answer{}
	for n, a := range digits.OutOfFold(logProb, then) {
		known[l.answerKey(had[n])] = a
	}
	return known, nil
}

// logProbThen is what a training of the kind that made what is served says out of fold.
func (l *lesson) logProbThen(ctx context.Context, then *digits.Person, phi []float32, had []int) ([]float32, error) {
	if j := l.old.joint; j != nil && j.head == l.headRef {
		return j.outOfFold(ctx, then, j.rows(nil, encodings(pick(l.data.train, had)), rowsOf(phi, had, j.Dim())))
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

// ask answers some examples as Predict would have.
func (l *lesson) ask(ctx context.Context, phi []float32, which []int, out []digits.Answer) error {
	tickets := make([]*ticket, len(which))
	for n, i := range which {
		tickets[n] = &ticket{request: &request{text: l.data.train[i].Text, snapshot: l.old, source: SourceProfile, head: l.old.head, offset: l.old.offset, texts: l.old.texts}}
	}
	if l.old.digits() { // whose features are there already
		rows, D := l.sdk.foldRows(l.old), l.sdk.axes.Dim()
		for n, i := range which {
			tickets[n].answer = tickets[n].request.answer(phi[i*D:(i+1)*D], rows)
		}
	} else {
		for some := range slices.Chunk(tickets, maxTickets) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := l.sdk.forward(some); err != nil {
				return err
			}
		}
	}
	for n, i := range which {
		if a := tickets[n].answer; a.Err != nil {
			return a.Err
		}
		out[i] = answeredBy(tickets[n].answer, l.head, l.head.Labels[l.data.train[i].Class])
		out[i].Fresh = !l.data.train[i].Known || l.old.digits() // else masks held it back
	}
	return nil
}

// tallyOf is prequential, of answers that are there already.
func (l *lesson) tallyOf(ctx context.Context, phi []float32, served []digits.Answer) (t prequentialTally, err error) {
	if !l.old.digits() {
		return l.prequential(ctx)
	}
	var unseen []int
	for i, e := range l.data.train {
		if _, has := l.old.head.Label(l.head.Labels[e.Class]); has && !e.Known && !e.Rejected {
			unseen = append(unseen, i)
		}
	}
	first := max(0, len(unseen)-mostTracked)
	before := relabel(pick(l.data.train, unseen[:first]), l.head, l.old.head)
	counts, D := l.countsBefore(before), l.sdk.axes.Dim()
	for _, i := range unseen[first:] {
		x, text := phi[i*D:(i+1)*D], &l.data.train[i].Text
		class, _ := l.old.head.Label(l.head.Labels[l.data.train[i].Class])
		prior := rightly(l.old.head, l.old.texts.offset(l.old.uncoded(counts), text), x, class)
		t.n++
		t.prior += prior
		t.base += rightly(l.old.head, l.old.texts.offset(nil, text), x, class)
		if !learned(l.old.record) {
			t.profile += prior
		} else if served[i].Right {
			t.profile++
		}
		if class < len(counts) {
			counts[class]++
		}
	}
	return t, nil
}

// numbered are the numbers from one up to another.
func numbered(from, to int) (which []int) {
	for i := from; i < to; i++ {
		which = append(which, i)
	}
	return which
}

func pick(examples []learner.Example, which []int) []learner.Example {
	out := make([]learner.Example, len(which))
	for n, i := range which {
		out[n] = examples[i]
	}
	return out
}
