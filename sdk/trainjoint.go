package sdk

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// PopulationReport says how much people who were held out gain by a place on axes on which the
// others differ, over the shared head with biases or with the label prior, whichever is better.
type PopulationReport struct {
	People  int `json:"people"` // how many, never which
	Texts   int `json:"texts"`  // each once
	Answers int `json:"answers"`

	// Biases is the precision of biases that are fitted in the label prior's place, also for
	// profiles without a place on axes; 0: the label prior is as good.
	Biases float64 `json:"biases"`

	Rank   int   `json:"rank"`   // axes; 0: people do not differ enough, or are too few to say
	Digits []int `json:"digits"` // of each axis
	// KnownTexts is how many texts the axes know by a hash, each labelled by three people or more.
	KnownTexts int `json:"known_texts"`
	// Gain in log-loss, the mean over 1, 3, 10 and all examples, of what was chosen or, at rank 0,
	// of the best that was not good enough; and its 90 % interval over people.
	Gain float64 `json:"gain"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// MorePeople is about how many it would take besides, if they differ as these do, for the gain
	// to be beyond chance; 0 at a rank above 0, and where there is no gain or one that is too
	// little.
	MorePeople int              `json:"more_people"`
	ByExamples []PopulationGain `json:"by_examples"`
	Tried      []PopulationTry  `json:"tried"` // the cross-validation
}

// PopulationGain is that of people with so many examples of their own.
type PopulationGain struct {
	Examples int     `json:"examples"` // 0: all
	Before   float64 `json:"before"`   // log-loss without axes
	After    float64 `json:"after"`
	Low      float64 `json:"low"` // of the difference: a 90 % interval over people
	High     float64 `json:"high"`
}

// PopulationTry is one setting of the cross-validation.
type PopulationTry struct {
	Rank int     `json:"rank"`
	Head float64 `json:"head"` // L2 of the shared head, and of the axes
	Axis float64 `json:"axis"`
	Bias float64 `json:"bias"` // precision of people's biases
	Text float64 `json:"text"` // L2 of texts' own parts in parts of head's and axes'; 0: none
	Loss float64 `json:"loss"` // mean over 1, 3, 10 and all examples
	Gain float64 `json:"gain"`
	SE   float64 `json:"se"` // standard error of the gain, over people
}

// within90 is how many standard errors an interval of 90 % has to both sides.
const within90 = 1.645

// shots are how many examples of theirs held-out people are fitted to; 0: all.
var shots = []int{1, 3, 10, 0}

// errOtherHead is what a TrainBank or a TrainHead gives that would take back what the other
// installed meanwhile.
var errOtherHead = fmt.Errorf("%w: another shared head was installed meanwhile", ErrConflict)

// trainJoint finds the axes on which the folder's people differ, and installs them if that is worth
// it.
func (p *Folder) trainJoint(ctx context.Context, o *TrainBankOptions, from teachers, threads int) (*BankReport, error) {
	h, m, rep, err := p.findJoint(ctx, from, o.Progress, threads, &p.fits)
	if err != nil {
		return rep, err
	}
	if err := p.putBiasPrecision(ctx, rep.Population.Biases); err != nil || m.J == 0 {
		return rep, err
	}
	p.installs.Lock()
	defer p.installs.Unlock()
	if now, _, err := p.shared(); err != nil || now != h { // a TrainHead had a turn
		return nil, cmp.Or(err, errOtherHead)
	}
	digest, err := p.putJoint(ctx, h, m, rep.Profiles)
	if err != nil {
		return nil, err
	}
	rep.Bank, rep.N, rep.Blocks, rep.Installed = digest.String(), 0, 1, true
	for _, n := range m.Digits {
		rep.N += 2 * n
	}
	rep.Reason = "installed: " + rep.Reason
	return rep, nil
}

// findJoint gathers the people and trains on them, from a checkpoint on if it has one, and lets a
// Learn that waits go first after each fit. Its report says all but what is installed.
func (p *Folder) findJoint(ctx context.Context, from teachers, progress func(step, steps int, loss float32),
	threads int, fits *axesCheckpoint) (*model.Head, *learnedAxes, *BankReport, error) {
	h, _, err := p.shared()
	if err != nil {
		return nil, nil, nil, err
	}
	p.kept.gather()
	people, keys, err := p.population(ctx, h, from)
	if err != nil {
		return nil, nil, nil, err
	}
	if from.forget || !axes.HoldsTexts(min(len(keys), from.most/population.FewestAnswers), population.MaxRank,
		people.C) {
		keys = nil
	}
	opts := &population.Options{Shots: shots, Threads: threads, ForgetTexts: keys == nil,
		Progress: func(fit, fits int) {
			if progress != nil {
				progress(fit, fits, 0)
			}
			p.giveWay(ctx)
		}}
	if fits != nil {
		opts.Resume = fits.open(people.Digest())
	}
	m, res, err := population.Train(ctx, people, opts)
	if err = cmp.Or(err, ctx.Err()); err != nil { // without a turn nothing is installed
		return nil, nil, nil, err
	}
	rep := &BankReport{Profiles: res.People, Examples: res.Answers, Population: populationReport(m, res)}
	rep.Population.KnownTexts = len(m.Known)
	rep.Reason = rep.Population.reason()
	return h, &learnedAxes{m, people, keys}, rep, nil
}

// population is the people whose stored examples teach, and φ and key of each text that one of them
// labelled. Rejections say too little.
func (p *Folder) population(ctx context.Context, h *model.Head, from teachers) (out *population.Population,
	keys []uint64, err error) {
	if len(h.Labels) < 2 {
		return nil, nil, configError([]string{"people who have one label cannot differ"})
	}
	var texts []model.Encoding
	at := map[uint64]int{}
	out = &population.Population{C: len(h.Labels), D: h.Hidden}
	err = p.sample(ctx, h, from, func(_ string, part split2) int {
		var a population.Answers
		for _, e := range append(part.train[:len(part.train):len(part.train)], part.held...) {
			if e.Rejected {
				continue
			}
			key := textKey(&e.Text)
			if _, ok := at[key]; !ok {
				at[key] = len(texts)
				texts, keys = append(texts, e.Text), append(keys, key)
			}
			a.Text, a.Class = append(a.Text, int32(at[key])), append(a.Class, int32(e.Class))
		}
		if len(a.Text) > 0 {
			out.People = append(out.People, a)
		}
		return len(a.Text)
	})
	if err == nil && len(out.People) < 2 {
		err = fmt.Errorf("%w: %d profiles with the shared head have stored any; a bank wants 2 or more", ErrExample,
			len(out.People))
	}
	if err != nil {
		return nil, nil, err
	}
	out.Phi, err = p.featuresOf(ctx, texts)
	return out, keys, err
}

// putJoint stores joint axes and their head, and makes both those of new profiles: the axes last,
// so that a crash leaves a head alone.
func (p *Folder) putJoint(ctx context.Context, old *model.Head, m *learnedAxes,
	people int) (d store.Digest, err error) {
	h := old.Clone()
	keys, own := m.texts()
	h.W, h.B, h.Counts = m.W, m.A, m.Counts
	head, err := h.Digest()
	if err != nil {
		return d, err
	}
	info, err := folder.AddAxes(ctx, p.store, p.dir,
		&axes.Joint{Axes: bank.Digest(p.axes.digest), Head: bank.Digest(head), Labels: h.Labels, People: people,
			V: m.V, B: m.B, Range: m.Range, Digits: m.Digits, Beta: float32(m.Beta), Keys: keys, Own: own})
	if err != nil {
		return d, err
	}
	if _, err := p.putSharedHead(ctx, h); err != nil {
		return d, err
	}
	return info.Digest, p.store.PutMeta(ctx, metaJoint, binary.LittleEndian.AppendUint32(nil, info.Ref))
}

// populationReport reports on what was chosen or, where nothing was, on the best that was tried.
func populationReport(m *population.Model, res *population.Report) *PopulationReport {
	rep := &PopulationReport{People: res.People, Texts: res.Texts, Answers: res.Answers, Rank: m.J,
		Digits: append([]int{}, m.Digits...)}
	none, shown := &res.Trials[0], (*population.Trial)(nil)
	if !none.Counts {
		rep.Biases = none.Bias
	}
	for i := range res.Trials {
		t := &res.Trials[i]
		try := PopulationTry{t.Rank, t.Head, t.Axis, t.Bias, t.Text, mean(t.Loss), t.Gain, t.SE}
		rep.Tried = append(rep.Tried, try)
		if t.Rank > 0 && (m.J == 0 || t.Setting == res.Setting) && (shown == nil || t.Gain > shown.Gain) {
			shown = t
		}
	}
	if shown == nil {
		return rep
	}
	rep.Gain, rep.Low, rep.High = shown.Gain, shown.Gain-within90*shown.SE, shown.Gain+within90*shown.SE
	for k, n := range shots {
		gain, se := shown.ShotGain[k], within90*shown.ShotSE[k]
		rep.ByExamples = append(rep.ByExamples, PopulationGain{n, none.Loss[k], shown.Loss[k], gain - se, gain + se})
	}
	if m.J == 0 && rep.Gain > 0 && rep.Low <= 0 {
		share := within90 * shown.SE / shown.Gain
		rep.MorePeople = int(min(math.Ceil(float64(res.People)*(share*share-1)), math.MaxInt32))
		rep.MorePeople = max(rep.MorePeople, 1)
	}
	return rep
}

// counted is n of something in words.
func counted(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// reason says what would be decided, in words.
func (r *PopulationReport) reason() string {
	switch {
	case r.Rank > 0:
		return fmt.Sprintf("people differ on %s", counted(r.Rank, "one axis", "axes"))
	case r.Biases > 0:
		return r.noAxes() + "; biases that are fitted to a person's answers take the label prior's place"
	}
	return r.noAxes()
}

// noAxes says why there are none.
func (r *PopulationReport) noAxes() string {
	switch {
	case r.Low > 0:
		return "nothing is worth installing: people differ, but what axes gain is too little for a bank"
	case r.MorePeople > 0:
		return fmt.Sprintf("nothing is worth installing: what axes gain may be chance; about %s more would tell",
			counted(r.MorePeople, "one person", "people"))
	}
	return "nothing is worth installing: these people do not differ in anything that the head and a prior do not say"
}
