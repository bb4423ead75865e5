package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// benchEncrypted does the same to a store in the clear and to an encrypted one, in turn: what the
// option costs.
func benchEncrypted(ctx context.Context, v env) (result, error) {
	b := encryptedBench{n: 20_000, master: bytes.Repeat([]byte{9}, store.MasterKeySize)}
	if v.full {
		b.n = 1_000_000
		v.rounds = min(v.rounds, 3)
	}
	b.r = result{Name: "encrypted",
		What: fmt.Sprintf("%d profiles of N=%d, k=%d, L=%d with and without a master key, durable; and Predict of "+
			"one text of 30 words",
			b.n, storeN, storeK, storeBlocks)}
	for round := range v.rounds + 1 {
		if err := b.round(ctx, round > 0); err != nil {
			return b.r, err
		}
	}
	if err := b.predict(ctx, v); err != nil {
		return b.r, err
	}
	for _, what := range []string{"load", "get p50", "export", "import", "open", "put of a new profile p50",
		"delete p50", "file and keys", "Predict p50"} {
		b.r.compare(what+", encrypted over clear", what+", encrypted", what+", clear", "")
	}
	return b.r, nil
}

type encryptedBench struct {
	r      result
	n      int
	master []byte
}

func (b *encryptedBench) round(ctx context.Context, count bool) error {
	dir, err := os.MkdirTemp("", "xpeft-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for side, key := range map[string][]byte{"clear": nil, "encrypted": b.master} {
		o := encryptedStore{b: b, ctx: ctx, side: side, dir: dir, options: &store.Options{MasterKey: key}, count: count}
		if err := o.run(); err != nil {
			return err
		}
	}
	return nil
}

// encryptedStore is one side of one round.
type encryptedStore struct {
	b         *encryptedBench
	ctx       context.Context
	side, dir string
	options   *store.Options
	count     bool
}

func (o *encryptedStore) add(what, unit string, x float64) {
	if o.count {
		o.b.r.add(what+", "+o.side, unit, 0, x)
	}
}

func (o *encryptedStore) create(name string) (*store.Store, error) {
	s, err := store.Create(filepath.Join(o.dir, o.side+name+".db"), store.Meta{Model: "model", MaxTokens: 128},
		o.options)
	if err != nil {
		return nil, err
	}
	_, err = s.PutBank(o.ctx, store.BankInfo{Digest: store.Digest{1}, N: storeN, Blocks: storeBlocks})
	return s, err
}

func (o *encryptedStore) run() error {
	s, err := o.create("")
	if err != nil {
		return err
	}
	loader := storeBench{n: o.b.n}
	d, err := loader.load(o.ctx, s, func(i int) int { return i })
	if err != nil {
		return err
	}
	o.add("load", "1/s", float64(o.b.n)/d.Seconds())
	if err := s.Close(); err != nil {
		return err
	}
	began := time.Now()
	if s, err = store.Open(s.Path(), o.options); err != nil {
		return err
	}
	defer s.Close()
	o.add("open", "ms", time.Since(began).Seconds()*1e3)
	size := int64(0)
	for _, path := range []string{s.Path(), store.KeysPath(s.Path())} {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	o.add("file and keys", "B each", float64(size)/float64(o.b.n))
	if err := o.bundle(s); err != nil {
		return err
	}
	return o.single(s)
}

// bundle exports all and imports it.
func (o *encryptedStore) bundle(s *store.Store) error {
	var b bytes.Buffer
	began := time.Now()
	if _, err := s.Export(o.ctx, &b, store.ExportOptions{}); err != nil {
		return err
	}
	o.add("export", "1/s", float64(o.b.n)/time.Since(began).Seconds())
	to, err := o.create("-imported")
	if err != nil {
		return err
	}
	defer to.Close()
	began = time.Now()
	if _, err := to.Import(o.ctx, &b, store.ImportOptions{}); err != nil {
		return err
	}
	o.add("import", "1/s", float64(o.b.n)/time.Since(began).Seconds())
	return nil
}

// single does one thing to one profile, many times.
func (o *encryptedStore) single(s *store.Store) error {
	rng, i := rand.New(rand.NewPCG(1, 3)), 0
	for _, m := range []struct {
		what, unit string
		scale      float64
		times      int
		call       func() error
	}{
		{"get p50", "µs", 1e3, 20_000, func() error { _, err := s.Get(storeID(rng.IntN(o.b.n))); return err }},
		{"put of a new profile p50", "ms", 1, 50, func() error {
			i++
			p := storeProfile(o.b.n + i)
			_, err := s.Put(o.ctx, p, store.Write{})
			return err
		}},
		{"delete p50", "ms", 1, 50, func() error { i--; return s.Delete(o.ctx, storeID(o.b.n+i+1)) }},
	} {
		ms, err := timed(m.times, m.call)
		if err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		o.add(m.what, m.unit, quantile(ms, 0.5)*m.scale)
	}
	return nil
}

// predict asks two folders in turn.
func (b *encryptedBench) predict(ctx context.Context, v env) error {
	text := words(v.texts, 30)
	asked := map[string]*sdk.Folder{}
	for side, key := range map[string][]byte{"clear": nil, "encrypted": b.master} {
		dir, err := os.MkdirTemp("", "xpeft-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		p, err := sdk.Create(ctx, filepath.Join(dir, "store"),
			sdk.Config{Model: v.model, Labels: []string{"urgent", "later", "ignore"}, Masks: true,
				Bank: sdk.RandomBank{N: fixtureN, Seed: 42, Blocks: 1}, Options: &sdk.Options{MasterKey: key}})
		if err != nil {
			return err
		}
		defer p.Close()
		if err := learnOne(ctx, p, v.texts); err != nil {
			return err
		}
		asked[side] = p
	}
	for round := range v.rounds + 1 {
		for side, p := range asked {
			ms, err := timed(20, func() error { _, err := p.Predict(ctx, "alice", text, nil); return err })
			if err != nil {
				return err
			}
			if round > 0 { // the first one warms up
				b.r.add("Predict p50, "+side, "ms", 0, quantile(ms, 0.5))
			}
		}
	}
	return nil
}
