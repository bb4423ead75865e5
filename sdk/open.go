//go:build cgo

package sdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Keys of the values that the sdk keeps in the store.
const (
	extraK      = "k"       // adapters averaged in each row
	metaWeights = "weights" // CRC-32C of each of the encoder's tensors, little-endian
	metaBank    = "bank"    // ref of the bank of new profiles, little-endian
)

// Create makes a new folder, binds it to a model, a bank and labels, and opens it. It reads the model whole, once. ErrExists if the folder has a store;
// on any error no store is left behind.
func Create(dir string, c Config) (p *SDK, err error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	o, err := c.Options.withDefaults()
	if err != nil {
		return nil, err
	}
	if exists, err := folder.Exists(dir); err != nil || exists {
		return nil, errors.Join(err, fmt.Errorf("%s: %w", dir, ErrExists))
	}
	absolute, err := filepath.Abs(c.Model)
	if err != nil {
		return nil, err
	}
	m, err := openModel(absolute, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	c = c.withDefaults(m.checkpoint.Config)
	if err := m.checkpoint.Config.ValidateMaxTokens(c.MaxTokens); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	st, err := store.Create(folder.DB(dir), store.Meta{
		Model: absolute, Encoder: m.checkpoint.Digest(), Tokenizer: m.tokenizer.Digest(c.MaxTokens), MaxTokens: c.MaxTokens,
		Extra: map[string]string{extraK: strconv.Itoa(c.K)},
	}, o.store())
	if err != nil {
		return nil, err
	}
	p = newSDK(dir, o, st, m, c.MaxTokens, c.K)
	if err := p.fill(c, m.checkpoint); err != nil {
		err = errors.Join(err, p.Close(), os.Remove(folder.DB(dir)))
		m = opened{} // closed with p
		return nil, err
	}
	return p, nil
}

// fill writes what a new store holds before its first profile.
func (p *SDK) fill(c Config, ckpt *model.Checkpoint) error {
	ctx := context.Background()
	var crcs []byte
	for _, crc := range ckpt.CRCs() {
		crcs = binary.LittleEndian.AppendUint32(crcs, crc)
	}
	if err := p.store.PutMeta(ctx, metaWeights, crcs); err != nil {
		return err
	}
	ref, err := p.addBank(ctx, c)
	if err != nil {
		return err
	}
	b, err := p.bank(ref)
	if err != nil {
		return err
	}
	if n := b.Properties().N; p.k > n {
		return fmt.Errorf("%w: K=%d of a bank of N=%d", ErrConfig, p.k, n)
	}
	if err := p.store.PutMeta(ctx, metaBank, binary.LittleEndian.AppendUint32(nil, ref)); err != nil {
		return err
	}
	head, err := p.headFromNames(ctx, c.Labels)
	if err != nil {
		return err
	}
	data, err := head.MarshalBinary()
	if err != nil {
		return err
	}
	headRef, _, err := p.store.PutHead(ctx, data)
	if err != nil {
		return err
	}
	return p.store.SetHeadName(ctx, defaultHead, headRef)
}

func (p *SDK) addBank(ctx context.Context, c Config) (uint32, error) {
	switch b := c.Bank.(type) {
	case WarmBank:
		f, err := os.Open(b.Path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		info, err := folder.AddBank(ctx, p.store, p.dir, f)
		return info.Ref, err
	case RandomBank:
		info, err := folder.RandomInfo(b.properties(p.encoder))
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		return p.store.PutBank(ctx, info)
	}
	return 0, fmt.Errorf("%w: bank of type %T", ErrConfig, c.Bank)
}

func (b RandomBank) properties(e *model.Encoder) bank.Properties {
	d := e.Hidden()
	if b.Bottleneck == 0 {
		b.Bottleneck = max(1, d/16)
	}
	return bank.Properties{Origin: bank.Random, N: b.N, Blocks: e.Blocks(), Hidden: d, Bottleneck: b.Bottleneck, NormB: true,
		Seed: b.Seed, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB}
}

// Open opens a folder that Create made. The model's folder and digests are in the store: ErrModelMismatch if it holds another model now,
// ErrLocked if another process has the folder open, fs.ErrNotExist if there is no store.
func Open(dir string, o *Options) (p *SDK, err error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	st, err := store.Open(folder.DB(dir), opts.store())
	if err != nil {
		return nil, err
	}
	meta := st.Meta()
	m, err := openModel(orDefault(opts.Model, meta.Model), opts)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	k, err := strconv.Atoi(meta.Extra[extraK])
	if err != nil {
		err = fmt.Errorf("%w: k in meta: %w", ErrCorrupt, err)
	} else {
		err = m.same(st, opts.Verify)
	}
	if err != nil {
		return nil, errors.Join(err, m.close(), st.Close())
	}
	return newSDK(dir, opts, st, m, meta.MaxTokens, k), nil
}

func newSDK(dir string, o Options, st *store.Store, m opened, maxTokens, k int) *SDK {
	return &SDK{dir: dir, options: o, store: st, engine: m.engine, encoder: m.encoder, tokenizer: m.tokenizer, maxTokens: maxTokens, k: k,
		cache: newCache(o.CacheBytes), learns: make(chan struct{}, o.Learns), banks: map[uint32]*bank.Bank{}, heads: map[uint32]*model.Head{}}
}

// opened is a model on an engine.
type opened struct {
	checkpoint *model.Checkpoint // belongs to encoder
	tokenizer  *model.Tokenizer
	engine     *torch.Engine
	encoder    *model.Encoder
}

func openModel(dir string, o Options) (m opened, err error) {
	c, err := model.OpenCheckpoint(dir)
	if err != nil {
		return m, err
	}
	t, err := model.LoadTokenizer(dir)
	if err == nil {
		err = c.CheckTokenizer(t)
	}
	if err != nil {
		return m, errors.Join(err, c.Close())
	}
	e, err := torch.Open(torch.Config{Device: torch.Device(o.Device), Workers: o.Workers, Threads: o.Threads, Logger: o.Logger})
	if err != nil {
		return m, errors.Join(err, c.Close())
	}
	enc, err := model.NewEncoder(context.Background(), e, c)
	if err != nil {
		return m, errors.Join(err, e.Close(), c.Close())
	}
	return opened{checkpoint: c, tokenizer: t, engine: e, encoder: enc}, nil
}

func (m opened) close() error {
	if m.engine == nil {
		return nil
	}
	return errors.Join(m.encoder.Close(), m.engine.Close())
}

// same compares the model with the one that the store is bound to: the tokenizer's digest, each tensor's checksum and, when it is asked for, the
// SHA-256 of all.
func (m opened) same(st *store.Store, verify bool) error {
	meta := st.Meta()
	if got := m.tokenizer.Digest(meta.MaxTokens); got != meta.Tokenizer {
		return errors.Join(ErrModelMismatch, &MismatchError{What: "tokenizer", Have: got, Want: meta.Tokenizer})
	}
	if verify {
		if got := m.checkpoint.Digest(); got != meta.Encoder {
			return errors.Join(ErrModelMismatch, &MismatchError{What: "encoder", Have: got, Want: meta.Encoder})
		}
	}
	want, err := st.GetMeta(metaWeights)
	if err != nil {
		return err
	}
	var got []byte
	for _, crc := range m.checkpoint.CRCs() {
		got = binary.LittleEndian.AppendUint32(got, crc)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: checksums of the weights differ", errors.Join(ErrModelMismatch, &MismatchError{What: "encoder", Have: m.checkpoint.Digest(), Want: meta.Encoder}))
	}
	return nil
}
