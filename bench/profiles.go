//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// profilesK is k of the profiles of openProfiles, over a random bank of N=150.
const profilesK = 50

// openProfiles makes a store of n profiles in dir and opens it with o. Their masks are random: an answer costs what a learned one's does.
func openProfiles(ctx context.Context, model, dir string, n int, o *sdk.Options) (p *sdk.SDK, ids []string, err error) {
	p, err = sdk.Create(dir, sdk.Config{Model: model, Bank: sdk.RandomBank{N: 150, Seed: 42}, K: profilesK, Labels: []string{"urgent", "later", "ignore"}})
	if err != nil {
		return nil, nil, err
	}
	if err := p.Close(); err != nil {
		return nil, nil, err
	}
	st, err := folder.Open(dir, &store.Options{NoSync: true, NoIndex: true})
	if err != nil {
		return nil, nil, err
	}
	ids, err = putProfiles(ctx, st, n)
	if err := errors.Join(err, st.Close()); err != nil {
		return nil, nil, err
	}
	p, err = sdk.Open(dir, o)
	return p, ids, err
}

func putProfiles(ctx context.Context, st *store.Store, n int) (ids []string, err error) {
	banks, err := st.Banks()
	if err != nil {
		return nil, err
	}
	props, err := folder.Properties(banks[0])
	if err != nil {
		return nil, err
	}
	heads, err := st.Heads()
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(5, 6))
	var batch []*store.Profile
	for i := range n {
		ids = append(ids, fmt.Sprint("profile ", i))
		batch = append(batch, &store.Profile{ID: ids[i], Bank: banks[0].Ref, Head: heads[0].Ref, Mask: drawMask(rng, props, profilesK)})
		if len(batch) == 1000 || i == n-1 {
			if err := st.PutBatch(ctx, batch); err != nil {
				return nil, err
			}
			batch = batch[:0]
		}
	}
	return ids, nil
}

// drawMask has k random ones in each row.
func drawMask(rng *rand.Rand, p bank.Properties, k int) *bitmask.Mask {
	m, err := bitmask.New(p.N, k, p.Blocks)
	if err != nil {
		panic(err) // only sizes that no bank has are refused
	}
	for i := range 2 * p.Blocks {
		row := m.Row(bank.Side(i/p.Blocks), i%p.Blocks)
		for _, adapter := range rng.Perm(p.N)[:k] {
			row.Set(adapter)
		}
	}
	return m
}
