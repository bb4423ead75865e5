package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Folder is an open folder of profiles. It is safe for concurrent use.
type Folder struct {
	dir         string
	options     Options
	store       *store.Store
	model       opened
	engine      engine.Engine
	encoder     *model.Encoder
	tokenizer   *model.Tokenizer
	maxTokens   int
	k           int
	cache       *cache
	taught      *taughtCache
	scheduler   *scheduler
	counters    counters
	embeddings  buffers
	untrainable untrainable

	learns chan struct{} // one token for each Learn that may run
	ids    keyLock       // Learns of one profile wait for each other

	training sync.Mutex // held by the one TrainBank that may run
	installs sync.Mutex // held while a shared head is looked at and another takes its place

	observer observer
	banker   banker
	kept     keptFeatures
	fits     axesCheckpoint
	forgets  atomic.Int64 // how often somebody was forgotten

	axes      *axesBank // nil: the folder's profiles are masks
	banks     byRef[*bank.Bank]
	joints    byRef[*jointBank]
	heads     byRef[*model.Head]
	texts     byRef[*jointBank]           // by the ref of a head: textsBeside
	questions atomic.Pointer[loadedTexts] // those that were asked about last
	loads     keyLock                     // held by the one who makes their rows

	lifetime lifetime
}

// SDK is the former name of [Folder].
//
// Deprecated: write Folder. The next release has no SDK.
type SDK = Folder

const (
	// defaultHead is the name of the head that new profiles share in a folder without axes, and did
	// in all of earlier versions.
	defaultHead = "default"
	// featureHead is the name of the one over φ, where the folder has axes.
	featureHead = "features"
)

// headName is that of the head that new profiles share.
func (p *Folder) headName() string {
	if p.axes == nil {
		return defaultHead
	}
	return featureHead
}

// env is what is frozen while a profile over bank b is learned.
func (p *Folder) env(b *bank.Bank) learner.Env {
	env := learner.Env{Engine: p.engine, Encoder: p.encoder, Bank: b}
	if p.axes != nil {
		env.Features = &p.axes.Features
	}
	return env
}

// Close ends background learning within a training step, that of a bank within a fit, waits for the
// calls in progress, a Learn or a loop over Profiles too, then closes the folder. It is idempotent;
// every later call is ErrClosed. To end a Learn early, end its ctx. Called from within a Progress
// or a loop over Profiles it would wait for itself.
func (p *Folder) Close() error {
	p.observer.close()
	p.banker.close()
	return p.lifetime.end(func() error {
		p.scheduler.close()
		p.cache.close()
		var errs []error
		for b := range p.banks.all() {
			errs = append(errs, b.Close())
		}
		errs = append(errs, p.model.close(), p.store.Close())
		p.options.Logger.Info("closed")
		return errors.Join(errs...)
	})
}

// enter admits a call whose ctx is not done, and with which nothing else is wrong. leave must be
// called.
func (p *Folder) enter(ctx context.Context, faults ...error) (leave func(), err error) {
	return p.lifetime.enter(ctx.Err(), cmp.Or(faults...))
}

// enterToWrite is lifetime.enter for what a read-only folder cannot do.
func (p *Folder) enterToWrite(faults ...error) (leave func(), err error) {
	if p.options.ReadOnly {
		return p.lifetime.enter(ErrReadOnly)
	}
	return p.lifetime.enter(faults...)
}

// bank opens a bank by its ref, once.
func (p *Folder) bank(ref uint32) (*bank.Bank, error) { return p.banks.get(ref, p.loadBank) }

func (p *Folder) loadBank(ref uint32) (*bank.Bank, error) {
	info, err := p.store.Bank(ref)
	if err != nil {
		return nil, corrupt("bank", err)
	}
	b, err := openBank(p.dir, info, p.options.Limits.RandomBankBytes)
	if err != nil {
		return nil, corrupt("bank", err)
	}
	props := b.Properties()
	if props.Blocks > p.encoder.Blocks() || props.Hidden != p.encoder.Hidden() {
		return nil, errors.Join(fmt.Errorf("%w: bank %s is for L=%d, d=%d; the model has L=%d, d=%d", ErrMismatch,
			info.Digest.Short(), props.Blocks, props.Hidden, p.encoder.Blocks(), p.encoder.Hidden()), b.Close())
	}
	if p.options.Verify {
		if err := b.Verify(context.Background()); err != nil {
			return nil, errors.Join(corrupt("bank", err), b.Close())
		}
	}
	return b, nil
}

// openBank makes a random bank, of which most bytes are let in, or opens a warm one's file.
func openBank(dir string, info store.BankInfo, most int64) (*bank.Bank, error) {
	props, err := folder.Properties(info)
	if err != nil {
		return nil, err
	}
	if props.Origin == bank.Random {
		if err := over("bytes of bank "+info.Digest.Short(), props.Bytes(), "RandomBankBytes", most); err != nil {
			return nil, err
		}
		return bank.NewRandom(props)
	}
	f, err := folder.OpenBank(dir, info)
	if err != nil {
		return nil, err
	}
	return bank.FromFile(f), nil
}

// head decodes a shared head by its ref, once.
func (p *Folder) head(ref uint32) (*model.Head, error) { return p.heads.get(ref, p.loadHead) }

func (p *Folder) loadHead(ref uint32) (*model.Head, error) {
	data, err := p.store.Head(ref)
	if err != nil {
		return nil, corrupt("head", err)
	}
	return p.decodeHead(data)
}

func (p *Folder) decodeHead(data []byte) (*model.Head, error) {
	h := new(model.Head)
	if err := h.UnmarshalBinary(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return h, p.checkWidth(h)
}

// shared is the head of new profiles and of the base, and its ref.
func (p *Folder) shared() (*model.Head, uint32, error) {
	ref, err := p.store.HeadByName(p.headName())
	if err != nil {
		return nil, 0, corrupt("shared head", err)
	}
	h, err := p.head(ref)
	return h, ref, err
}

// Labels of the shared head.
func (p *Folder) Labels(ctx context.Context) ([]string, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	h, _, err := p.shared()
	if err != nil {
		return nil, err
	}
	return append([]string(nil), h.Labels...), nil
}
