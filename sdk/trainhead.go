package sdk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// TrainHeadOptions of one TrainHead. Nil, and every zero field, means the default.
type TrainHeadOptions struct {
	// MaxExamples is the most to use, held-out ones included; default 20,000. If the profiles have
	// more, those whose examples are used are an even sample of all, by a hash of their ids.
	MaxExamples int
	// MaxPerProfile is the most to use of one profile, its newest ones; default: an even share of
	// MaxExamples, or 16 (a hundredth of MaxExamples if that is fewer) where the share is less.
	MaxPerProfile int
	// AddLabels join the shared head: those of PendingLabels, or others. They start from their
	// names, and are taught by profiles with heads of their own too.
	AddLabels []string
	// installs the new head whatever its score, and in the place of one that belongs to joint axes
	Force bool
	// of the training in a folder without axes; default learner.SharedHead(). Only what concerns a
	// head is used.
	Config   *learner.Config
	KeepBank bool // leaves the default bank as it is; with axes it stays anyway
	Progress func(step, steps int, loss float32)
}

// HeadReport of a TrainHead.
type HeadReport struct {
	Digest    string    `json:"head"`      // of the head that new profiles now share
	Installed bool      `json:"installed"` // false: the old head was kept
	Reason    string    `json:"reason"`    // what was decided, in words
	Profiles  int       `json:"profiles"`  // whose examples were used
	Examples  int       `json:"examples"`  // trained on
	HeldOut   int       `json:"held_out"`  // kept back, to judge by: three in ten, by a hash of the text
	Before    Score     `json:"before"`    // of the old head on the held-out examples, over the bare encoder
	After     Score     `json:"after"`     // of the new one
	Bank      string    `json:"bank"`      // digest of the bank that new profiles now get
	Losses    []float32 `json:"losses,omitempty"`
	Steps     int       `json:"steps"`
	Seconds   float64   `json:"seconds"`
}

// TrainHead fits a linear head over the bare encoder to the stored examples of all profiles that
// share a head, and makes it the one of new profiles and of the base if it is no worse on three in
// ten of the texts, which it is not trained on. In a folder with axes that is a convex fit over φ,
// which starts from the old head. Its labels are the old one's and AddLabels. Private
// profiles are left out. Profiles that exist keep the head that they were learned with until Rebase
// moves them. A head that TrainBank made with the axes on which people differ stays, unless
// AddLabels or Force asks for another: that sets the axes aside. ErrConflict if another head was
// installed while this one was trained. The first head is made of the labels' names; this one knows
// what people meant by them. In a folder of masks little is then left to a profile's adapter, and
// it does that best in the last block: if the default bank is a random one in all blocks, the same
// one in the last block alone takes its place, with profiles of a quarter of the bytes that are
// learned in a fifth of the time (docs/accuracy.md), unless KeepBank.
func (p *Folder) TrainHead(ctx context.Context, o *TrainHeadOptions) (*HeadReport, error) {
	leave, err := p.enterToWrite(p.exclusive("TrainHead"))
	if err != nil {
		return nil, err
	}
	defer leave()
	began := time.Now()
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rep, err := p.trainHead(ctx, opts)
	if err != nil {
		return nil, err
	}
	rep.Seconds = time.Since(began).Seconds()
	p.options.Logger.Info("trained a head", "installed", rep.Installed, "reason", rep.Reason, "before",
		rep.Before.Accuracy,
		"after", rep.After.Accuracy, "profiles", rep.Profiles, "examples", rep.Examples, "seconds", rep.Seconds)
	return rep, nil
}

// withDefaults copies, fills in and validates.
func (o *TrainHeadOptions) withDefaults() (TrainHeadOptions, error) {
	c := *cmp.Or(o, &TrainHeadOptions{})
	config := learner.SharedHead()
	if c.Config != nil {
		config = *c.Config
	}
	config.Mode, config.Head, config.Bias, config.Affine, config.Soft = learner.HeadOnly, true, false, false, false
	if f := c.Progress; f != nil {
		config.Progress = func(x learner.Progress) { f(x.Step, x.Steps, x.Loss) }
	}
	c.Config = &config
	t, err := newTeachers(c.MaxExamples, c.MaxPerProfile)
	c.MaxExamples = t.most
	return c, err
}

func (p *Folder) trainHead(ctx context.Context, o TrainHeadOptions) (*HeadReport, error) {
	train := p.trainNewHead
	if !o.Force && len(o.AddLabels) == 0 { // which would set joint axes aside, whose head stays
		j, err := p.newcomersJoint()
		if err != nil {
			return nil, err
		}
		if j != nil {
			train = p.keepHead
		}
	}
	rep, err := train(ctx, o)
	if err != nil {
		return nil, err
	}
	if rep.Installed && !o.KeepBank && p.axes == nil {
		if err := p.toLastBlock(ctx); err != nil {
			return nil, err
		}
	}
	rep.Bank, err = p.defaultBankDigest()
	return rep, err
}

// keepHead is the report of a head that was not trained.
func (p *Folder) keepHead(context.Context, TrainHeadOptions) (*HeadReport, error) {
	h, _, err := p.shared()
	if err != nil {
		return nil, err
	}
	digest, err := h.Digest()
	return &HeadReport{Digest: fmt.Sprintf("%x", digest),
		Reason: "kept the old head: it belongs to the axes on which people differ, and TrainBank trains both"}, err
}

func (p *Folder) trainNewHead(ctx context.Context, o TrainHeadOptions) (*HeadReport, error) {
	old, ref, err := p.shared()
	if err != nil {
		return nil, err
	}
	texts, err := p.textsBeside(ref)
	if err != nil {
		return nil, err
	}
	start, err := p.withLabels(ctx, old, o.AddLabels)
	if err != nil {
		return nil, err
	}
	data, profiles, err := p.headData(ctx, start,
		teachers{most: o.MaxExamples, each: o.MaxPerProfile, own: start != old})
	if err != nil {
		return nil, err
	}
	if len(data.train) == 0 {
		return nil, fmt.Errorf("%w: no profile that shares a head has stored any", ErrExample)
	}
	rep := &HeadReport{Profiles: profiles, Examples: len(data.train), HeldOut: len(data.held)}
	head, err := p.fitHead(ctx, start, data, o, rep)
	if err != nil {
		return nil, err
	}
	head.Counts = count(data.train, head)
	if rep.Before, err = p.scoreOlder(ctx, old, texts, data.held); err != nil {
		return nil, err
	}
	if rep.After, err = p.scoreHead(ctx, head, nil, data.held); err != nil {
		return nil, err
	}
	return rep, p.commitHead(ctx, old, head, rep, o.Force)
}

// fitHead trains a head: over the pooled embedding as o.Config says, over φ by a convex fit.
func (p *Folder) fitHead(ctx context.Context, start *model.Head, data split2, o TrainHeadOptions,
	rep *HeadReport) (*model.Head, error) {
	if p.axes == nil {
		res, err := learner.Learn(ctx, p.env(nil), learner.Job{Head: start, Train: data.train, Held: data.held},
			*o.Config)
		if err != nil {
			return nil, err
		}
		rep.Losses, rep.Steps = res.Losses, res.Steps
		return res.Head, nil
	}
	// which say what a label is not
	train := slices.DeleteFunc(slices.Clone(data.train), func(e learner.Example) bool { return e.Rejected })
	if len(train) == 0 {
		return start.Clone(), nil
	}
	phi, err := p.features(ctx, encodings(train))
	if err != nil {
		return nil, err
	}
	fit := &digits.Head{X: phi, W0: start.W, C: len(start.Labels), D: start.Hidden}
	for _, e := range train {
		fit.Class, fit.Weight = append(fit.Class, e.Class), append(fit.Weight, e.Weight)
	}
	res, err := digits.FitHead(ctx, fit,
		&digits.HeadOptions{Threads: p.options.Threads, Progress: func(fit, fits, _ int, loss float64) {
			if o.Progress != nil {
				o.Progress(fit, fits, float32(loss))
			}
		}})
	if err != nil {
		return nil, err
	}
	head := start.Clone()
	head.W, head.B, rep.Steps = res.W, res.Bias, res.Steps
	return head, nil
}

// scoreHead measures a head on the bare encoder, with what is known of the texts beside it.
func (p *Folder) scoreHead(ctx context.Context, h *model.Head, texts *jointBank,
	held []learner.Example) (Score, error) {
	if len(held) == 0 {
		return Score{}, nil
	}
	x, err := p.features(ctx, encodings(held))
	if err != nil {
		return Score{}, err
	}
	out := Score{N: len(held)}
	for i := range held {
		sc := learner.Score(h, texts.offset(nil, &held[i].Text), x[i*h.Hidden:(i+1)*h.Hidden], held[i:i+1])
		out.Accuracy += sc.Accuracy
		out.Loss += sc.Loss
	}
	out.Accuracy /= float64(out.N)
	out.Loss /= float64(out.N)
	return out, nil
}

// commitHead installs the new head, or says why not.
func (p *Folder) commitHead(ctx context.Context, old, head *model.Head, rep *HeadReport, force bool) error {
	worse := rep.After.Accuracy < rep.Before.Accuracy
	rep.Installed, rep.Reason = true, "installed: no worse on the held-out examples"
	switch {
	case rep.HeldOut == 0:
		rep.Reason = "installed: no examples are held out"
	case worse && force:
		rep.Reason = "installed by force: worse on the held-out examples"
	case worse:
		rep.Installed, rep.Reason = false, "kept the old head: the new one is worse on the held-out examples"
		digest, err := old.Digest()
		rep.Digest = fmt.Sprintf("%x", digest)
		return err
	}
	p.installs.Lock()
	defer p.installs.Unlock()
	// by a TrainBank, or another TrainHead
	if now, _, err := p.shared(); err != nil || now != old {
		return cmp.Or(err, errOtherHead)
	}
	digest, err := p.putSharedHead(ctx, head)
	rep.Digest = digest.String()
	return err
}
