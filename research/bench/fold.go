package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
)

// foldBank is the bank that folding is measured on: N=400, L=6, d=384, b=24, 177 MB in float32, so
// that most of what a fold reads is in no cache.
var foldBank = bank.Properties{Origin: bank.Random, N: 400, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true,
	Seed:   42,
	SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB}

const foldK = 50

// benchFold compares the fold of one profile with a plain copy of the rows that it must read, on
// one thread, each of a mask that was never used before.
func benchFold(ctx context.Context, v env) (result, error) {
	bytes := float64(2*foldBank.Blocks*foldK) * float64(foldBank.Elems()) * 4
	r := result{Name: "fold", What: fmt.Sprintf(
		"bytes of the bank read a second by the fold of one profile (N=%d, k=%d, L=%d, d=%d, b=%d, F32: %.1f MB) "+
			"and by a copy of the same rows, one thread",
		foldBank.N, foldK, foldBank.Blocks, foldBank.Hidden, foldBank.Bottleneck, bytes/1e6)}
	f, err := foldFile(ctx)
	if err != nil {
		return r, err
	}
	mapped := bank.FromFile(f)
	defer mapped.Close()
	random, err := bank.NewRandom(foldBank)
	if err != nil {
		return r, err
	}
	defer random.Close()
	var views [][]float32 // of the bank file, each row of which is checked by this
	for i := range 2 * foldBank.Blocks {
		view, _, err := mapped.Rows(bank.Side(i/foldBank.Blocks), i%foldBank.Blocks)
		if err != nil {
			return r, err
		}
		views = append(views, view)
	}
	buf := make([]float32, int(bytes)/4)
	fold := func(b *bank.Bank) func(*bitmask.Mask) error {
		return func(m *bitmask.Mask) error {
			_, err := b.Fold(m, nil)
			return err
		}
	}
	rivals := []struct {
		name string
		run  func(*bitmask.Mask) error
	}{
		{"copy", func(m *bitmask.Mask) error { copyRows(buf, views, m); return nil }},
		{"fold, bank file", fold(mapped)}, {"fold, random bank", fold(random)},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const each = 5
	for round := range v.rounds + 1 {
		for _, rival := range rivals {
			var took time.Duration
			for range each {
				m, err := randomMask(rng, foldBank.N, foldK, foldBank.Blocks)
				if err != nil {
					return r, err
				}
				began := time.Now()
				if err := rival.run(m); err != nil {
					return r, err
				}
				took += time.Since(began)
			}
			if round > 0 { // the first one warms up
				r.add(rival.name, "GB/s", 0, each*bytes/took.Seconds()/1e9)
			}
		}
	}
	r.compare("fold over a copy, bank file", "fold, bank file", "copy", "≥ 0.70")
	r.compare("fold over a copy, random bank", "fold, random bank", "copy", "≥ 0.70")
	return r, nil
}

// foldFile is a warm bank's file with the entries of foldBank. Its name is gone already.
func foldFile(ctx context.Context) (*bank.File, error) {
	dir, err := os.MkdirTemp("", "xpeft-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p := foldBank
	p.Origin, p.Seed, p.SigmaA, p.SigmaB = bank.Warm, 0, 0, 0
	row := make([]float32, p.Elems())
	_, err = bank.WriteFile(ctx, dir+"/bank", p,
		nil, func(side bank.Side, block, adapter int) ([]float32, []float32, error) {
			return row, nil, foldBank.Generate(side, block, adapter, row)
		})
	if err != nil {
		return nil, err
	}
	return bank.OpenFile(dir + "/bank")
}

// copyRows copies the rows that m selects into dst, one after another.
func copyRows(dst []float32, views [][]float32, m *bitmask.Mask) {
	size := foldBank.Elems()
	var ids []int32
	for i, view := range views {
		ids = m.Indices(bank.Side(i/foldBank.Blocks), i%foldBank.Blocks, ids[:0])
		for _, id := range ids {
			dst = dst[copy(dst, view[int(id)*size:][:size]):]
		}
	}
}
