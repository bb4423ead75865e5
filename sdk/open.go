package sdk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/internal/engine/torch"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Keys of the values that the sdk keeps in the store.
const (
	extraEncoder = "encoder" // what describe says
	metaWeights  = "weights" // CRC-32C of each of the encoder's tensors, little-endian
	metaBank     = "bank"    // ref of the bank of new profiles, little-endian
	metaAxes     = "axes"    // ref of the axes, little-endian; none in a folder of masks
	metaJoint    = "joint"   // ref of the joint axes of new profiles, little-endian; none before TrainBank
	// precision of biases that take the label prior's place, float32, little-endian; 0 or none:
	// none do
	metaBiases  = "biases"
	metaTexts   = "texts"   // keptTexts; none unless TrainBankOptions.KeepTexts
	metaTrained = "trained" // when the last TrainBank began, in microseconds of Unix time, little-endian; none before
	metaMoving  = "moving"  // 1: people of another folder move here
	metaMasks   = "masks"   // 1: the folder's profiles are to be masks, and it is to get no axes
)

// Open opens a folder that Create made. The model's folder and digests are in the store:
// ErrMismatch if that holds another model now, ErrLocked if another process has the folder
// open for writing, fs.ErrNotExist if there is no store, or no model where it was: Options.Model
// says where it is now. With ctx done it ends before its next step.
func Open(ctx context.Context, dir string, o *Options) (*Folder, error) {
	began := time.Now()
	opts, err := o.withDefaults()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if until, ok := ctx.Deadline(); ok {
		opts.Timeout = min(opts.Timeout, max(1, time.Until(until)))
	}
	st, err := store.Open(folder.DB(dir), opts.store())
	if err != nil {
		return nil, err
	}
	meta := st.Meta()
	extra, err := folder.ReadExtra(meta)
	if opts.windows, opts.multi, opts.thresholds = extra.Windows, extra.Multi, extra.Thresholds; err == nil {
		err = opts.checkMulti()
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	at := cmp.Or(opts.Model, meta.Model)
	m, err := opts.openModel(ctx, at)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the model in %s: %w", at, err), st.Close())
	}
	if err := m.same(st, opts); err != nil {
		return nil, errors.Join(err, m.close(), st.Close())
	}
	opts.Logger.Info("opened", "encrypted", meta.Keys != "", "read_only", opts.ReadOnly, "took", time.Since(began))
	p := newFolder(dir, opts, st, m, meta.MaxTokens, extra.K)
	err = p.checkMoving(ctx)
	if err == nil && opts.ReadOnly {
		err = opts.texts.Read(st)
	} else if err == nil {
		err = p.foldCase(ctx)
	}
	if err == nil {
		err = p.loadAxes()
	}
	if err == nil && p.axes == nil && !opts.ReadOnly {
		err = p.upgrade(ctx)
	}
	if err == nil && !opts.ReadOnly {
		err = p.removeLeftTexts(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if opts.ReadOnly {
		return p, nil
	}
	p.observer.start(p, false)
	p.banker.start(p)
	return p, nil
}

// foldCase decides which texts are one, and writes it down for who opens the folder without the
// model.
func (p *Folder) foldCase(ctx context.Context) error {
	key, value := p.options.texts.Fold(p.tokenizer.FoldsCase())
	if old, err := p.store.GetMeta(key); err == nil && bytes.Equal(old, value) {
		return nil
	}
	return p.store.PutMeta(ctx, key, value)
}

func newFolder(dir string, o Options, st *store.Store, m opened, maxTokens, k int) *Folder {
	o = o.on(m.engine.Device())
	p := &Folder{dir: dir, options: o, store: st, model: m, engine: m.engine, encoder: m.encoder,
		tokenizer: m.tokenizer, maxTokens: maxTokens, k: k,
		cache: newCache(o.CacheBytes), learns: make(chan struct{}, o.Learns), banker: banker{every: o.BankEvery},
		kept: keptFeatures{room: o.CacheBytes / keptShare}}
	p.observer.off = o.NoBackground
	p.taught, p.observer.every, p.observer.early = newTaughtCache(p.cache), o.ObserveEvery, p.learnsEarly
	p.fits.dir, p.fits.warn = dir, o.Logger.Warn
	p.scheduler = newScheduler(o.Workers, o.PassTokens, o.Gather, p.onCPU(), m.shared.forward(p.forward))
	if o.Trace != nil {
		p.scheduler.queued = p.options.queued
	}
	return p
}

// opened is a model on an engine.
type opened struct {
	checkpoint *model.Checkpoint // belongs to encoder
	tokenizer  *model.Tokenizer
	engine     engine.Engine
	encoder    *model.Encoder
	digest     func() [32]byte // the checkpoint's, which is computed once
	shared     *Model          // whose it is; nil: one folder's
	sums       []uint32        // of a shared one: CRC-32C of each of the weights
}

// source is where a model's files are.
type source struct {
	dir string
	fs  fs.FS // instead of dir, unless it is nil
}

// model is the source of the model that is in a folder, if ModelFS names no other.
func (o Options) model(dir string) source { return source{dir, o.ModelFS} }

func (s source) tokenizer() (*model.Tokenizer, error) {
	if s.fs != nil {
		return model.LoadTokenizerFS(s.fs)
	}
	return model.LoadTokenizer(s.dir)
}

func (s source) checkpoint() (*model.Checkpoint, error) {
	if s.fs != nil {
		return model.OpenCheckpointFS(s.fs)
	}
	return model.OpenCheckpoint(s.dir)
}

// openModel opens the model in a folder, if Encoder and ModelFS name no other.
func (o Options) openModel(ctx context.Context, dir string) (opened, error) {
	if o.Encoder == nil {
		return openModel(ctx, o.model(dir), o)
	}
	m, err := o.Encoder.enter()
	if err == nil && o.windows > 1 && m.engine.Name() != "native" {
		err = errors.Join(fmt.Errorf("%w: texts of several windows on a shared model of libtorch's", ErrUnsupported),
			m.close())
	}
	return m, err
}

// openModel reads the tokenizer while the encoder is opened: both take tens of milliseconds, on a
// core each.
func openModel(ctx context.Context, from source, o Options) (m opened, err error) {
	if err := ctx.Err(); err != nil {
		return m, err
	}
	if from == (source{}) {
		return m, fmt.Errorf("no folder, as the store was made with Options.ModelFS: %w", fs.ErrNotExist)
	}
	var tokenizerErr error
	read := make(chan *model.Tokenizer)
	go func() {
		var t *model.Tokenizer
		t, tokenizerErr = from.tokenizer()
		read <- t
	}()
	m, err = openEncoder(from, o)
	m.tokenizer = <-read
	if err != nil {
		return m, err
	}
	if err = tokenizerErr; err == nil {
		err = m.checkpoint.CheckTokenizer(m.tokenizer)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return m, errors.Join(err, m.close())
	}
	return m, nil
}

func openEncoder(from source, o Options) (m opened, err error) {
	c, err := from.checkpoint()
	if err != nil {
		return m, err
	}
	enc, err := model.NewEncoder(c)
	if err != nil {
		return m, errors.Join(err, c.Close())
	}
	if err := enc.UseKernel(o.Kernel); err != nil {
		return m, errors.Join(err, enc.Close())
	}
	if err := enc.UsePrecision(o.Precision); err != nil {
		return m, errors.Join(err, enc.Close())
	}
	e, err := openEngine(enc, o)
	if err != nil {
		return m, errors.Join(err, enc.Close())
	}
	enc.UseThreads(min(o.on(e.Device()).Workers, runtime.GOMAXPROCS(0)))
	return opened{checkpoint: c, engine: e, encoder: enc, digest: sync.OnceValue(c.Digest)}, nil
}

// Engines are those that the program was built with.
func Engines() []string {
	if torch.Built {
		return []string{"native", "torch"}
	}
	return []string{"native"}
}

// NativeBlocks is in how many of the model's last blocks the native engine trains adapters;
// libtorch trains all.
const NativeBlocks = native.Blocks

// openEngine is the native engine, or libtorch's if the program was built with it and no text has
// several windows: on a GPU if there is one, unless Options.Device says otherwise.
func openEngine(enc *model.Encoder, o Options) (engine.Engine, error) {
	if o.windows > 1 && o.Device == deviceCUDA {
		return nil, fmt.Errorf("%w: texts of several windows on a GPU", ErrUnsupported)
	}
	if (!torch.Built || o.windows > 1) && o.Device != deviceCUDA {
		return native.New(enc), nil
	}
	return torch.Open(enc, torch.Config{Device: cmp.Or(o.Device, deviceAuto), Workers: o.Workers,
		Threads: o.Threads, Logger: o.Logger})
}

// close gives a shared model back, and frees another.
func (m opened) close() error {
	if m.shared != nil {
		m.shared.leave()
		return nil
	}
	return m.free()
}

func (m opened) free() error {
	if m.engine == nil {
		return nil
	}
	return errors.Join(m.engine.Close(), m.encoder.Close())
}

// describe is what decides the encoder's output beside its weights, whose shapes fix the rest.
func describe(c *model.Checkpoint) string {
	return fmt.Sprintf("heads=%d act=%s eps=%g pooling=%s", c.Config.NumAttentionHeads, c.Config.HiddenAct,
		c.Config.LayerNormEps, c.Pooling)
}

// same compares the model with the one that the store is bound to: the tokenizer's digest, the
// configuration, each tensor's checksum and, when it is asked for, the SHA-256 of all.
func (m opened) same(st *store.Store, o Options) error {
	meta := st.Meta()
	if got := m.readerDigest(meta.MaxTokens, o.windows, o.multi); got != meta.Tokenizer {
		return fmt.Errorf("another model than the folder's: %w",
			&MismatchError{What: "tokenizer", Have: meta.Tokenizer, Want: got})
	}
	weights, err := st.GetMeta(metaWeights)
	if err != nil {
		return corrupt("checksums of the weights", err)
	}
	if err := m.sameEncoder(meta.Extra[extraEncoder], weights); err != nil {
		return fmt.Errorf("another model than the folder's: %w: %w", m.mismatch(meta), err)
	}
	if o.Verify && m.digest() != meta.Encoder {
		return fmt.Errorf("another model than the folder's: %w", m.mismatch(meta))
	}
	return nil
}

func (m opened) sameEncoder(description string, weights []byte) error {
	if got := describe(m.checkpoint); got != description {
		return fmt.Errorf("the model has %s, the store's %s", got, description)
	}
	if n := len(m.checkpoint.Names()); len(weights) != 4*n {
		return fmt.Errorf("the model has %d tensors, the store's %d", n, len(weights)/4)
	}
	for i := range len(weights) / 4 {
		crc := binary.LittleEndian.Uint32(weights[4*i:])
		if m.sums != nil && m.sums[i] == crc {
			continue // a shared one's are known
		}
		if err := m.checkpoint.Check(i, crc); err != nil {
			return err
		}
	}
	return nil
}

func (m opened) mismatch(meta store.Meta) *MismatchError {
	return &MismatchError{What: "encoder", Have: meta.Encoder, Want: m.digest()}
}
