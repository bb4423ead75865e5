package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

const (
	fixtureN      = 150
	fixtureK      = 50
	fixtureLabels = 15 // as many as peers.py gives its heads
	fixtureTokens = 64 // and as long as its texts
)

// fixture makes a store of profiles with random masks, over a random bank of N=150, k=50 in all
// blocks and under the shared head, in a folder that remove deletes. They are written as records:
// what they would answer is of no interest, and Learn would take minutes.
func fixture(ctx context.Context, v env, profiles int) (dir string, remove func(), err error) {
	tmp, err := os.MkdirTemp("", "xpeft-bench-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(tmp) }
	dir = filepath.Join(tmp, "store")
	if err := fill(ctx, v, dir, profiles); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

func fill(ctx context.Context, v env, dir string, profiles int) (err error) {
	c := sdk.Config{Model: v.model, Bank: sdk.RandomBank{N: fixtureN, Seed: 42}, K: fixtureK, Masks: true,
		Labels: labels(fixtureLabels), MaxTokens: fixtureTokens}
	p, err := sdk.Create(ctx, dir, c)
	if err != nil {
		return err
	}
	if err := p.Close(); err != nil {
		return err
	}
	st, err := folder.Open(dir, nil)
	if err != nil {
		return err
	}
	defer func() {
		if e := st.Close(); err == nil {
			err = e
		}
	}()
	banks, err := st.Banks()
	if err != nil {
		return err
	}
	heads, err := st.Heads()
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(5, 0))
	records := make([]*store.Profile, profiles)
	for i := range records {
		mask, err := randomMask(rng, banks[0].N, fixtureK, banks[0].Blocks)
		if err != nil {
			return err
		}
		records[i] = &store.Profile{ID: profileID(i), Bank: banks[0].Ref, Head: heads[0].Ref, Mask: mask, Examples: 8}
	}
	return st.PutBatch(ctx, records)
}

func profileID(i int) string { return fmt.Sprintf("user-%d", i) }

func labels(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("label ", i)
	}
	return out
}

// randomMask has k ones in each row, uniformly.
func randomMask(rng *rand.Rand, n, k, blocks int) (*bitmask.Mask, error) {
	m, err := bitmask.New(n, k, blocks)
	if err != nil {
		return nil, err
	}
	logits := make([]float32, n)
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		for l := range blocks {
			for i := range logits {
				logits[i] = rng.Float32()
			}
			if err := bitmask.TopK(logits, k, m.Row(side, l)); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}
