package sdk

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Create makes a new folder, binds it to a model, a bank and labels, and opens it. It reads the
// model whole, once. ErrExists if one is there; on any error, and after a crash, there is
// none. With ctx done it ends before its next step.
func Create(ctx context.Context, dir string, c Config) (*Folder, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	o, err := c.Options.withDefaults()
	if err != nil {
		return nil, err
	}
	switch exists, err := folder.Exists(dir); {
	case err != nil:
		return nil, err
	case exists:
		return nil, fmt.Errorf("%s: %w", dir, ErrExists)
	}
	if o.Encoder != nil {
		c.Model = o.Encoder.dir
	} else if c.Model != "" {
		if c.Model, err = filepath.Abs(c.Model); err != nil {
			return nil, err
		}
	}
	o.windows, o.multi = c.Windows, c.Multi
	if err := o.checkMulti(); err != nil {
		return nil, err
	}
	if o.thresholds, err = o.cleanThresholds(c.Thresholds, cleanLabels(c.Labels)); err != nil {
		return nil, err
	}
	m, err := o.openModel(ctx, c.Model)
	if err != nil {
		return nil, err
	}
	if c, err = c.withDefaults(m.checkpoint.Config, m.tokenizer); err == nil {
		err = c.checkWindows(m.encoder.Pooling())
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	newDir, newBanks := missing(dir), missing(folder.Banks(dir))
	p, err := createStore(ctx, dir, c, o, m)
	if err == nil {
		return p, nil
	}
	if newBanks && missing(folder.DB(dir)) { // else another process made a store here meanwhile
		os.RemoveAll(folder.Banks(dir))
	}
	if newDir {
		os.Remove(dir) // if it is empty
	}
	return nil, err
}

// CreateReport is what Create noticed.
type CreateReport struct {
	// Alike are groups of labels whose names are the same to the model: of characters that it does
	// not know, or in another case. Each of them got a direction of its own in the first shared
	// head, which says nothing of its meaning: until a profile has learned them they are as likely
	// as each other.
	Alike [][]string `json:"alike"`
	// Unknown is the share of the labels' tokens that the tokenizer does not know.
	Unknown float64 `json:"unknown"`
	// Axes is how long the folder's axes took: milliseconds for a model that the library brings
	// them for, else some seconds, once. 0 with Config.Masks.
	Axes time.Duration `json:"axes"`
}

// createStore makes the store under another name and moves it to its place when all is in it. It
// takes m over.
func createStore(ctx context.Context, dir string, c Config, o Options, m opened) (p *Folder, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, errors.Join(err, m.close())
	}
	work, err := os.MkdirTemp(dir, ".create-")
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	defer os.RemoveAll(work)
	extra := map[string]string{folder.ExtraK: strconv.Itoa(c.K), extraEncoder: describe(m.checkpoint)}
	if c.Windows > 1 {
		extra[folder.ExtraWindows] = strconv.Itoa(c.Windows)
	}
	if c.Multi {
		extra[folder.ExtraMulti] = "1"
	}
	if len(o.thresholds) > 0 {
		said, _ := json.Marshal(o.thresholds) // numbers by strings always have JSON
		extra[folder.ExtraThresholds] = string(said)
	}
	st, err := store.Create(folder.DB(work), store.Meta{Model: c.Model, Encoder: m.digest(),
		Tokenizer: m.readerDigest(c.MaxTokens, c.Windows, c.Multi), MaxTokens: c.MaxTokens, Extra: extra}, o.store())
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	p = newFolder(dir, o, st, m, c.MaxTokens, c.K)
	err = p.fill(ctx, c, m)
	if err == nil {
		err = p.moveIn(work)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.observer.start(p, true)
	return p, nil
}

// moveIn moves the new store from the folder work to its place.
func (p *Folder) moveIn(work string) error {
	if err := p.store.Close(); err != nil {
		return err
	}
	to := folder.DB(p.dir)
	if err := store.Move(folder.DB(work), to); err != nil {
		return err
	}
	st, err := store.Open(to, p.options.store())
	if err != nil {
		os.Remove(store.KeysPath(to)) // if there is one
		return errors.Join(err, os.Remove(to))
	}
	p.store = st
	return nil
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// fill writes what a new store holds before its first profile.
func (p *Folder) fill(ctx context.Context, c Config, m opened) error {
	sums, err := m.sums, error(nil)
	if sums == nil {
		sums, err = m.checkpoint.CRCs()
	}
	if err != nil {
		return err
	}
	var crcs []byte
	for _, crc := range sums {
		crcs = binary.LittleEndian.AppendUint32(crcs, crc)
	}
	if err := p.store.PutMeta(ctx, metaWeights, crcs); err != nil {
		return err
	}
	if err := p.foldCase(ctx); err != nil {
		return err
	}
	ref, err := p.addBank(ctx, c)
	if err != nil {
		return err
	}
	if _, err := p.bank(ref); err != nil {
		return err
	}
	if err := p.setDefaultBank(ctx, ref); err != nil {
		return err
	}
	var took time.Duration
	if p.options.moving {
		if err := p.store.PutMeta(ctx, metaMoving, []byte{1}); err != nil {
			return err
		}
	}
	if c.Masks {
		if err := p.store.PutMeta(ctx, metaMasks, []byte{1}); err != nil {
			return err
		}
	}
	if _, random := c.Bank.(RandomBank); random && !c.Masks {
		if took, err = p.addAxes(ctx, m.digest()); err != nil {
			return err
		}
		p.options.Logger.Info("has axes", "took", took)
	}
	head, alike, err := p.headFromNames(ctx, cleanLabels(c.Labels))
	if err != nil {
		return err
	}
	if err := p.putFirstHead(ctx, head); err != nil {
		return err
	}
	for _, labels := range alike {
		p.options.Logger.Warn("labels that the model cannot tell apart by their names: each got a random direction "+
			"of its own", "labels", labels)
	}
	if c.Report != nil {
		c.Report(CreateReport{Alike: alike, Axes: took, Unknown: p.unknown(p.named(head.Labels))})
	}
	return nil
}

// putSharedHead stores a head and makes it the one that new profiles share.
func (p *Folder) putSharedHead(ctx context.Context, h *model.Head) (store.Digest, error) {
	data, err := h.MarshalBinary()
	if err != nil {
		return store.Digest{}, err
	}
	ref, d, err := p.store.PutHead(ctx, data)
	if err != nil {
		return d, err
	}
	return d, p.store.SetHeadName(ctx, p.headName(), ref)
}

func (p *Folder) addBank(ctx context.Context, c Config) (uint32, error) {
	if b, ok := c.Bank.(RandomBank); ok {
		return p.addRandomBank(ctx, b.properties(p.encoder))
	}
	f, err := os.Open(c.Bank.(WarmBank).Path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := folder.AddBank(ctx, p.store, p.dir, f)
	return info.Ref, corrupt("bank", err)
}

func (b RandomBank) properties(e *model.Encoder) bank.Properties {
	d := e.Hidden()
	if b.Bottleneck == 0 {
		b.Bottleneck = max(1, d/16)
	}
	return bank.Properties{Origin: bank.Random, N: b.N, Blocks: cmp.Or(b.Blocks, e.Blocks()), Hidden: d,
		Bottleneck: b.Bottleneck, NormB: true,
		Seed: b.Seed, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB}
}
