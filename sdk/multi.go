package sdk

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// In a folder of Config.Multi labels are not exclusive. An example has a set of them, and what is
// learned and judged is a decision for each label: whether the text is of it. A decision has the
// loss of a logistic problem, the label's own count odds as its prior, and one row of digits.

// errMulti is what such a folder cannot do.
func errMulti(what string) error {
	return fmt.Errorf("%w: %s in a folder whose labels are not exclusive (Config.Multi)", ErrUnsupported, what)
}

// exclusive refuses what compares labels, or people by their one label of a text.
func (p *Folder) exclusive(what string) error {
	if p.options.multi {
		return errMulti(what)
	}
	return nil
}

func (o *Options) checkMulti() error {
	if o.multi && o.BankEvery > 0 {
		return errMulti("a bank trained in the background (Options.BankEvery)")
	}
	return nil
}

// cleanThresholds are thresholds of labels, each of which must be one of these, under their names.
func (o *Options) cleanThresholds(given map[string]float64, labels []string) (map[string]float64, error) {
	if len(given) == 0 {
		return nil, nil
	}
	if !o.multi {
		return nil, fmt.Errorf("%w: thresholds, in a folder whose texts have one label (no Config.Multi)", ErrConfig)
	}
	h, out := &model.Head{Labels: labels}, make(map[string]float64, len(given))
	for label, at := range given {
		c, ok := h.Label(label)
		if !ok {
			return nil, fmt.Errorf("%w: a threshold of %.40q, none of %s", ErrUnknownLabel, label, listed(labels))
		}
		if _, twice := out[labels[c]]; twice || !(at > 0 && at < 1) {
			return nil, fmt.Errorf("%w: a threshold of %g for %.40q, want one for each label, above 0 and below 1",
				ErrConfig, at, label)
		}
		out[labels[c]] = at
	}
	return out, nil
}

// checkLearn refuses options that are of other profiles than shared digits.
func (o *Options) checkLearn(l LearnOptions) error {
	switch {
	case !o.multi:
	case l.Head == NumberHead:
		return errMulti("a head that gives a number")
	case l.Head == OwnHead:
		return errMulti("a head of the profile's own")
	case l.AddLabels:
		return errMulti("a label of the profile's own (AddLabels)")
	case l.Config != nil:
		return errMulti("a profile of masks")
	}
	return nil
}

// checkKind says whether an example has labels where the folder takes them, and only there.
func (p *Folder) checkKind(e Example) error {
	switch {
	case e.Labels != nil && !p.options.multi:
		return fmt.Errorf("%w: labels, in a folder whose texts have one each (no Config.Multi)", ErrExample)
	case !p.options.multi || e.Labels != nil:
		return nil
	case e.Value != nil:
		return errMulti("a value")
	case e.Rejected:
		return errMulti("a rejection: say which labels the text has")
	}
	return fmt.Errorf("%w: a label, in a folder that takes Labels (Config.Multi)", ErrExample)
}

// hasAll says which label of a set a head does not have.
func hasAll(h *model.Head, set []string) error {
	for _, label := range set {
		if _, ok := h.Label(label); !ok {
			return fmt.Errorf("%w: %.40q is none of the profile's %s", ErrUnknownLabel, label, listed(h.Labels))
		}
	}
	return nil
}

// learnable is fitting of what the folder's examples have, labels or sets of them.
func (p *Folder) learnable(examples []store.Example, h *model.Head) (out []store.Example) {
	if !p.options.multi {
		return fitting(examples, h)
	}
	for _, e := range examples {
		if set, ok := folder.ReadLabelSet(e.Label); ok && hasAll(h, set) == nil {
			out = append(out, e)
		}
	}
	return out
}

// decisions are examples with sets, one for each label in a row: of the label, or its rejection.
func decisions(examples []store.Example, h *model.Head) (out []store.Example) {
	for _, e := range examples {
		set, _ := folder.ReadLabelSet(e.Label)
		for _, label := range h.Labels {
			e.Label, e.Rejected = label, !slices.Contains(set, label)
			out = append(out, e)
		}
	}
	return out
}

// counted is what a prior knows of examples: how many have each label, and of Config.Multi how many
// there are.
func (p *Folder) counted(examples []store.Example, h *model.Head) []uint32 {
	if !p.options.multi {
		return countLabels(examples, h)
	}
	return append(countLabels(decisions(examples, h), h), uint32(len(examples)))
}

// countsOfSets are counts of labels with that of all texts behind them; with DropExamples those
// learned before are in both.
func (l *learning) countsOfSets(counts []uint32, texts int) []uint32 {
	out := append(counts, uint32(texts))
	if l.options.DropExamples && l.old != nil && len(l.old.record.Prior) == len(out) {
		for c, n := range l.old.record.Prior {
			out[c] += n
		}
	}
	return out
}

// oddsOf is each of C labels' log-odds by how often it was given, for counts of the labels and
// behind them of all texts; none of a profile of which nothing is known.
func oddsOf(counts []uint32, C int) []float32 {
	out := make([]float32, C)
	for c := range out {
		with, texts := 0., 0.
		if len(counts) == C+1 {
			with, texts = float64(counts[c]), float64(counts[C])
		}
		out[c] = odds(with, texts-with, C)
	}
	return out
}

// odds begin at one label a text, where each of C is as likely: else somebody who has taught
// nothing would be given half of them.
func odds(with, without float64, C int) float32 {
	const each = priorStrength / 2.
	return float32(math.Log((with + each) / (without + each*float64(C-1))))
}

// setFit is what was learned of one label.
type setFit struct {
	who *digits.Person
	*digits.Result
}

// fitSets learns each label of some texts as a problem of its own.
func (l *learning) fitSets(ctx context.Context, texts []int) ([]setFit, error) {
	p, h, D, C := l.sdk, l.head, l.sdk.axes.Dim(), l.each
	var proj, base []float32
	for _, k := range texts {
		x := l.phi[k*D : (k+1)*D]
		proj, base = p.axes.Project(proj, x), h.Logits(base, x)
	}
	before := l.counts(nil)
	out := make([]setFit, C)
	for c := range out {
		who := &digits.Person{P: proj, A: p.axes.Count(), C: 2, Digits: p.axes.Digits, Logistic: true,
			Prior:   func(n []uint32) []float32 { return []float32{0, odds(float64(n[1]), float64(n[0]), C)} },
			Counted: []uint32{before[C] - before[c], before[c]}}
		for n, k := range texts {
			e, class := l.examples[k*C+c], 1
			if e.Rejected {
				class = 0
			}
			who.Base = append(who.Base, 0, base[n*C+c])
			who.Class, who.Weight = append(who.Class, class), append(who.Weight, weightOf(e.Weight))
		}
		res, err := digits.Learn(ctx, who, nil)
		if err != nil {
			return nil, err
		}
		out[c] = setFit{who, res}
	}
	return out, nil
}

// learnSets is learnDigits for sets of labels.
func (l *learning) learnSets(ctx context.Context) (err error) {
	C := l.each
	encoded := encodings(l.examples)
	texts := numbered(0, len(encoded)/C)
	for k := range texts {
		encoded[k] = encoded[k*C]
	}
	if l.phi, err = l.sdk.features(ctx, encoded[:len(texts)]); err != nil {
		return err
	}
	fits, err := l.fitSets(ctx, texts)
	if err != nil {
		return err
	}
	l.who, l.outcome.start = &digits.Person{C: 2 * C}, StartFresh
	l.after, l.prior = answersOf(fits, false), answersOf(fits, true)
	for k := range texts {
		for c, f := range fits {
			l.who.Class = append(l.who.Class, 2*c+f.who.Class[k])
			l.who.Weight = append(l.who.Weight, f.who.Weight[k])
		}
	}
	l.record, err = l.setsRecord(fits)
	return err
}

// answersOf are what was answered out of fold, text by text, by what was learned or by the prior
// alone.
func answersOf(fits []setFit, prior bool) (out []digits.Answer) {
	for k := range fits[0].who.Class {
		for c, f := range fits {
			logProb := f.LogProb
			if prior {
				logProb = f.PriorLogProb
			}
			out = append(out, decided(math.Exp(float64(logProb[2*k+1])), c, f.who.Class[k] == 1))
		}
	}
	return out
}

// decided is what a label's probability says of a text that has the label, or has not. Of label c
// the answers are 2c, not, and 2c+1.
func decided(p float64, c int, has bool) digits.Answer {
	a := digits.Answer{Known: true, Label: 2 * c, Right: (p >= evenOdds) == has}
	if p >= evenOdds {
		a.Label++
	}
	if !has {
		p = 1 - p
	}
	a.Loss = min(digits.UnknownLoss, -math.Log(p))
	return a
}

// evenOdds is from which probability on a label is given, unless the caller or the folder says
// another.
const evenOdds = 0.5

// setsThen is digitsThen for sets of labels: had is all decisions of some texts.
func (l *learning) setsThen(ctx context.Context, had []int) ([]digits.Answer, error) {
	var texts []int
	for _, i := range had {
		if i%l.each == 0 {
			texts = append(texts, i/l.each)
		}
	}
	fits, err := l.fitSets(ctx, texts)
	if err != nil {
		return nil, err
	}
	out := make([]digits.Answer, len(l.examples))
	for n, a := range answersOf(fits, false) {
		out[texts[n/l.each]*l.each+n%l.each] = a
	}
	return out, nil
}

// setsRecord is codeRecord for sets of labels. The temperature is the geometric mean of the
// labels'.
func (l *learning) setsRecord(fits []setFit) (*store.Profile, error) {
	rec, err := l.priorRecord()
	if err != nil {
		return nil, err
	}
	code := store.Code{Bank: l.sdk.axes.ref, K: l.sdk.axes.K()}
	bias, heat := make([]float32, len(fits)), 0
	for c, f := range fits {
		heat += int(f.Temperature)
		if f.Bias != nil {
			bias[c] = f.Bias[1]
		}
		if len(f.Labels) > 0 {
			code.Labels = append(code.Labels, uint32(c))
			code.Rows, code.Scales = append(code.Rows, f.Rows...), append(code.Scales, f.Scales...)
		}
	}
	if len(code.Labels) == 0 {
		return rec, nil
	}
	rec.Codes = []store.Code{code}
	if rec.Temperature = byte(heat / len(fits)); rec.Temperature == 128 { // of 1
		rec.Temperature = 0
	}
	rec.Bias, err = encodeBias(bias)
	return rec, err
}

// setReports are labelReports of decisions: a label's n are the texts that have it.
func setReports(labels []string, class []int, answers []digits.Answer) (out []LabelReport, macroF1 float64) {
	n, said, right := make([]int, len(labels)), make([]int, len(labels)), make([]int, len(labels))
	for i, a := range answers {
		if !a.Known {
			continue
		}
		c := class[i] / 2
		n[c] += class[i] % 2
		said[c] += a.Label % 2
		right[c] += class[i] % 2 * (a.Label % 2)
	}
	return fromCounts(labels, n, said, right)
}

// threshold is from which probability on a label is given: what the caller says of it or of all, or
// the folder.
func (r *request) threshold(label string) float32 {
	if at, ok := r.asked[label]; ok {
		return float32(at)
	}
	if at, ok := r.usual[label]; ok && r.least == 0 {
		return float32(at)
	}
	return cmp.Or(r.least, evenOdds)
}

// decide turns logits into each label's probability, and says which are given.
func (r *request) decide(z []float32, out *Prediction) {
	out.Labels, out.Probabilities = []string{}, make([]Probability, len(z))
	for c, v := range z {
		if v != v {
			*out = Prediction{Profile: r.profile, Err: errNotFinite}
			return
		}
		p := float32(1 / (1 + math.Exp(-float64(v))))
		out.Probabilities[c] = Probability{Label: r.head.Labels[c], P: p}
		if p >= r.threshold(r.head.Labels[c]) {
			out.Labels = append(out.Labels, r.head.Labels[c])
		}
	}
	if set, ok := folder.ReadLabelSet(r.taught); ok {
		out.Labels, out.Source = set, SourceTaught
	}
}
