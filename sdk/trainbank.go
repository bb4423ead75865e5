package sdk

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
)

// TrainBankOptions of one TrainBank. Nil, and every zero field, means the default.
type TrainBankOptions struct {
	// MaxExamples is the most to train on and to watch; default 20,000. If the profiles have more,
	// those whose examples are used are an even sample of all, by a hash of their ids.
	MaxExamples int
	// MaxPerProfile is the most to take of one profile, its newest ones, those included that it
	// holds back; default: an even share of MaxExamples, or 16 (a hundredth of MaxExamples if that
	// is fewer) where the share is less.
	MaxPerProfile int
	// ForgetTexts makes axes that keep nothing of single texts. Else they keep a hash and a few
	// numbers of each text that three people or more labelled, never who did: such a text is
	// answered better then.
	ForgetTexts bool
	// Edit asks for a bank of adapters whatever the folder is, and changes the configuration that
	// it is trained with: learner.DefaultBank with Shaped, N and K of the store.
	Edit     func(*learner.BankConfig)
	Progress func(step, steps int, loss float32) // without a loss for axes
	// KeepTexts keeps with axes that are installed the texts that at least three of the people
	// labelled, at most 512 KiB of them, for Ask to choose from: who is asked reads what others
	// were shown. They are encrypted where profiles are, and travel with backups, not with exports.
	// Forget does not remove them; the next TrainBank without KeepTexts does, with Edit too.
	KeepTexts bool
}

// BankReport of a TrainBank; it lies beside the bank's file, too.
type BankReport struct {
	Bank      string `json:"bank"`      // digest; empty: nothing was installed
	Installed bool   `json:"installed"` // new profiles have it from now on
	Reason    string `json:"reason"`    // what was decided, in words

	Profiles int       `json:"profiles"` // whose examples were used
	Watched  int       `json:"watched"`  // profiles that were not trained on but said when to stop
	Examples int       `json:"examples"`
	N        int       `json:"n"`
	Blocks   int       `json:"blocks"`
	Losses   []float32 `json:"losses"`
	Looks    []float64 `json:"looks"`   // mean loss of the watched profiles, the first before any step
	Best     int       `json:"best"`    // the step that was kept
	Resumed  int       `json:"resumed"` // steps that an earlier call had made; of axes, fits
	Seconds  float64   `json:"seconds"`

	Population *PopulationReport `json:"population,omitempty"` // of axes on which people differ; nil for adapters
	KeptTexts  int               `json:"kept_texts"`           // see TrainBankOptions.KeepTexts
}

// watchShare of the profiles are watched, not trained on.
const watchShare = 5 // one in five

// TrainBank makes a bank out of the stored examples of all profiles that share a head, private ones
// left out. In a folder of digits it finds the axes on which its people differ and the head that
// goes with them, by cross-validation over people, and installs both if people who were held out
// are answered better with them: new profiles are a place on these axes from then on, of at most 8
// bytes, and those that exist move at their next Learn. Where people do not differ enough, nothing
// is installed, and the report says so. TrainHead sets these axes aside: train the bank after it.
// One that installs a head meanwhile makes this ErrConflict. A call that was cut off is resumed by
// the next one with its next fit, if the people's examples are the same; Forget removes what that
// needs.
//
// In a folder of masks, or with Edit, it makes a warm bank under the newest head: adapters that are
// shaped by it and trained to be averaged, for as long as profiles that are not trained on are
// served better. The bank becomes that of new profiles, which are masks over it from then on; those
// of masks that exist stay where they are until Rebase moves them, those of digits until their next
// Learn. A warm bank keeps what it learned from a profile after Forget. A call that was cut off is
// resumed by the next one if examples, head and configuration are still the same; else its
// checkpoint is set aside, which is logged, and training starts anew. ErrBusy if another TrainBank
// is under way. Train a head first: TrainHead. Cost: minutes; Predict does not wait meanwhile,
// Learn does: for all of it, or where axes are sought for one fit. Options.BankEvery runs it in the
// background.
func (p *Folder) TrainBank(ctx context.Context, o *TrainBankOptions) (*BankReport, error) {
	leave, err := p.enterToWrite(p.exclusive("TrainBank"))
	if err != nil {
		return nil, err
	}
	defer leave()
	return p.trainAnyBank(ctx, o, false)
}

// trainAnyBank is TrainBank, in the background on one thread.
func (p *Folder) trainAnyBank(ctx context.Context, o *TrainBankOptions, background bool) (*BankReport, error) {
	if !p.training.TryLock() { // two would write one checkpoint
		return nil, ErrBusy
	}
	defer p.training.Unlock()
	began := time.Now()
	o = cmp.Or(o, &TrainBankOptions{})
	config, from, err := p.bankConfig(o)
	if err != nil {
		return nil, err
	}
	threads := p.options.Threads
	if background {
		threads = 1
	}
	granted, done, err := p.grant(ctx, threads)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx = granted(ctx)
	digits, err := p.newcomersDigits()
	if err != nil {
		return nil, err
	}
	p.banker.begun()
	var rep *BankReport
	if digits && o.Edit == nil {
		rep, err = p.trainAxes(ctx, o, from, threads)
	} else {
		rep, err = p.trainBank(ctx, config, from)
	}
	if err == nil {
		err = p.keepTexts(ctx, o.KeepTexts, from, rep)
	}
	p.banker.last.Store(newBankRun(rep, err, background, time.Since(began)))
	if err != nil {
		return nil, err
	}
	p.kept.drop()
	if rep.Population != nil {
		last := (&Advice{Worth: rep.Population.Rank > 0, Reason: rep.Reason, Population: rep.Population}).Last()
		last.Trained = true
		p.keepAdvice(ctx, last)
	}
	at := binary.LittleEndian.AppendUint64(nil, uint64(began.UnixMicro()))
	if err := p.store.PutMeta(ctx, metaTrained, at); err != nil {
		return nil, err
	}
	rep.Seconds = time.Since(began).Seconds()
	p.options.Logger.Info("trained a bank", "bank", rep.Bank, "reason", rep.Reason, "profiles", rep.Profiles,
		"examples", rep.Examples, "steps", len(rep.Losses), "seconds", rep.Seconds)
	if !rep.Installed {
		return rep, nil
	}
	return rep, folder.WriteReport(p.dir, rep.Bank, rep)
}

// bankConfig is what the options say of a bank for this store.
func (p *Folder) bankConfig(o *TrainBankOptions) (c learner.BankConfig, from teachers, err error) {
	_, b, err := p.openDefaultBank()
	if err != nil {
		return c, from, err
	}
	c = learner.DefaultBank()
	c.Shaped, c.Head = true, false
	c.N, c.Bottleneck = b.Properties().N, max(1, p.encoder.Hidden()/16)
	c.K = min(p.k, c.N)
	c.Checkpoint = folder.AdapterCheckpoint(p.dir)
	if f := o.Progress; f != nil {
		c.Progress = func(x learner.Progress) { f(x.Step, x.Steps, x.Loss) }
	}
	if o.Edit != nil {
		o.Edit(&c)
	}
	if c.Head {
		return c, from, configError([]string{"a bank is trained under the head that the profiles share: TrainHead " +
			"trains that"})
	}
	from, err = o.teachers()
	return c, from, err
}

// teachers says whose examples are taken, or what cannot be.
func (o *TrainBankOptions) teachers() (teachers, error) {
	o = cmp.Or(o, &TrainBankOptions{})
	if o.KeepTexts && o.ForgetTexts {
		return teachers{}, configError([]string{"texts are to be kept and forgotten"})
	}
	from, err := newTeachers(o.MaxExamples, o.MaxPerProfile)
	from.forget = o.ForgetTexts
	return from, err
}

func (p *Folder) trainBank(ctx context.Context, c learner.BankConfig, from teachers) (*BankReport, error) {
	forgets := p.forgets.Load()
	job, rep, err := p.bankJob(ctx, from)
	if err != nil {
		return nil, err
	}
	if err := folder.MakeBanks(p.dir); err != nil {
		return nil, err
	}
	res, err := learner.TrainBank(ctx, p.env(nil), job, c)
	if errors.Is(err, learner.ErrCheckpoint) {
		if err := p.setAside(c.Checkpoint, err); err != nil {
			return nil, err
		}
		res, err = learner.TrainBank(ctx, p.env(nil), job, c)
	}
	if err != nil {
		if p.forgets.Load() != forgets { // of somebody whom its checkpoint has
			err = errors.Join(err, folder.DropCheckpoints(p.dir))
		}
		return nil, err
	}
	info, err := folder.SaveBank(ctx, p.store, p.dir, res.Properties, res.Affine, res.Row)
	if err != nil {
		return nil, corrupt("bank", err)
	}
	if _, err := p.bank(info.Ref); err != nil {
		return nil, err
	}
	if err := p.setDefaultBank(ctx, info.Ref); err != nil {
		return nil, err
	}
	rep.Bank, rep.N, rep.Blocks = info.Digest.String(), info.N, info.Blocks
	rep.Installed, rep.Reason = true, "installed: adapters for new profiles"
	rep.Losses, rep.Looks, rep.Best, rep.Resumed = res.Losses, res.Watched, res.Best, res.Resumed
	return rep, nil
}

// setAside moves a checkpoint that cannot be continued out of the way: somebody was taught, learned
// or forgotten since, the configuration is another, or it is damaged. One such is kept, the latest:
// with the data or the configuration of then it can be moved back.
func (p *Folder) setAside(checkpoint string, why error) error {
	aside := folder.SetAside(checkpoint)
	if err := os.Rename(checkpoint, aside); err != nil {
		return fmt.Errorf("setting a checkpoint aside: %w", err)
	}
	p.options.Logger.Warn("set a checkpoint aside: a bank's training starts anew", "reason", why, "kept", aside)
	return nil
}
