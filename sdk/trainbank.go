//go:build cgo

package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
)

// TrainBankOptions of one TrainBank. Nil, and every zero field, means the default.
type TrainBankOptions struct {
	MaxExamples int // most to use, the same number of every profile, its newest ones; default 20,000
	// Edit changes the configuration that is trained with: learner.DefaultBank with Shaped, N and K of the store.
	Edit     func(*learner.BankConfig)
	Progress func(step, steps int, loss float32)
}

// BankReport of a TrainBank; it lies beside the bank's file, too.
type BankReport struct {
	Bank     string        `json:"bank"`     // digest
	Profiles int           `json:"profiles"` // whose examples were used
	Watched  int           `json:"watched"`  // profiles that were not trained on but said when to stop
	Examples int           `json:"examples"`
	N        int           `json:"n"`
	Blocks   int           `json:"blocks"`
	Losses   []float32     `json:"losses"`
	Looks    []float64     `json:"looks"` // mean loss of the watched profiles, the first before any step
	Best     int           `json:"best"`  // the step that was kept
	Resumed  int           `json:"resumed"`
	Took     time.Duration `json:"took"`
}

// watchShare of the profiles are watched, not trained on.
const watchShare = 5 // one in five

// TrainBank makes a warm bank out of the stored examples of all profiles that share a head, under the newest one: adapters that are shaped by it and trained to be
// averaged, for as long as profiles that are not trained on are served better. The bank becomes that of new profiles; those that exist stay where they are until
// Rebase moves them. A warm bank keeps what it learned from a profile after Forget. It is resumed by the next call if it was cut off. Train a head
// first: TrainHead. Cost: minutes; Learn waits meanwhile, Predict does not.
func (p *SDK) TrainBank(ctx context.Context, o *TrainBankOptions) (*BankReport, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return nil, err
	}
	defer leave()
	began := time.Now()
	config, most, err := p.bankConfig(o)
	if err != nil {
		return nil, err
	}
	done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	rep, err := p.trainBank(ctx, config, most)
	if err != nil {
		return nil, err
	}
	rep.Took = time.Since(began)
	p.options.Logger.Info("trained a bank", "bank", rep.Bank, "profiles", rep.Profiles, "examples", rep.Examples, "steps", len(rep.Losses), "took", rep.Took)
	return rep, p.writeReport(rep)
}

// bankConfig is what the options say of a bank for this store.
func (p *SDK) bankConfig(o *TrainBankOptions) (c learner.BankConfig, most int, err error) {
	_, b, err := p.newcomersBank()
	if err != nil {
		return c, 0, err
	}
	c = learner.DefaultBank()
	c.Shaped, c.Head = true, false
	c.N, c.Bottleneck = b.Properties().N, max(1, p.encoder.Hidden()/16)
	c.K = min(p.k, c.N)
	c.Checkpoint = filepath.Join(folder.Banks(p.dir), "training.checkpoint")
	if o == nil {
		return c, 20_000, nil
	}
	if f := o.Progress; f != nil {
		c.Progress = func(x learner.Progress) { f(x.Step, x.Steps, x.Loss) }
	}
	if o.Edit != nil {
		o.Edit(&c)
	}
	if c.Head {
		return c, 0, configError([]string{"a bank is trained under the head that the profiles share: TrainHead trains that"})
	}
	if o.MaxExamples < 0 {
		return c, 0, configError([]string{fmt.Sprintf("MaxExamples is %d", o.MaxExamples)})
	}
	return c, orDefault(o.MaxExamples, 20_000), nil
}

func (p *SDK) trainBank(ctx context.Context, c learner.BankConfig, most int) (*BankReport, error) {
	job, rep, err := p.bankJob(ctx, most)
	if err != nil {
		return nil, err
	}
	if err := folder.MakeBanks(p.dir); err != nil {
		return nil, err
	}
	res, err := learner.TrainBank(ctx, p.env(nil), job, c)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := writeBank(ctx, &file, res); err != nil {
		return nil, err
	}
	info, err := folder.AddBank(ctx, p.store, p.dir, &file)
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
	rep.Losses, rep.Looks, rep.Best, rep.Resumed = res.Losses, res.Watched, res.Best, res.Resumed
	return rep, nil
}

// bankJob gathers the examples of the profiles that share a head: what they train on, and of one in five what they hold back, to watch.
func (p *SDK) bankJob(ctx context.Context, most int) (j learner.BankJob, rep *BankReport, err error) {
	head, _, err := p.shared()
	if err != nil {
		return j, nil, err
	}
	st, err := p.store.Stats()
	if err != nil {
		return j, nil, err
	}
	j.Head, rep = head, &BankReport{}
	each := max(1, most/max(1, int(st.Profiles)))
	for rec, err := range p.store.Profiles("") {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return j, nil, err
		}
		if rec.Head == 0 || rep.Examples >= most {
			continue
		}
		stored, err := p.stored(rec.ID)
		if err != nil {
			return j, nil, err
		}
		stored = latest(fitting(stored, head))
		part := p.divide(rec.ID, stored[max(0, len(stored)-each):], head)
		prior := head.Prior(count(part.train, head), priorStrength)
		switch {
		case len(part.train) == 0:
		case len(part.held) > 0 && (rep.Profiles+rep.Watched)%watchShare == watchShare-1:
			j.Watch = append(j.Watch, learner.BankProfile{Held: part.held, Prior: prior})
			rep.Watched++
		default:
			j.Profiles = append(j.Profiles, learner.BankProfile{Train: part.train, Prior: prior})
			rep.Profiles++
			rep.Examples += len(part.train)
		}
	}
	if len(j.Profiles) < 2 {
		return j, nil, fmt.Errorf("%w: %d profiles with the shared head have stored any; a bank wants 2 or more", ErrExample, len(j.Profiles))
	}
	return j, rep, nil
}

func writeBank(ctx context.Context, file *bytes.Buffer, r *learner.BankResult) (err error) {
	dir, err := os.MkdirTemp("", "xpeft-bank-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := bank.Save(ctx, dir, r.Properties, r.Affine, r.Row)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, d.String()))
	file.Write(data)
	return err
}

// writeReport lays the report beside the bank.
func (p *SDK) writeReport(rep *BankReport) error {
	data, err := json.MarshalIndent(rep, "", " ")
	if err != nil {
		return err
	}
	return folder.WriteReport(p.dir, rep.Bank, append(data, '\n'))
}
