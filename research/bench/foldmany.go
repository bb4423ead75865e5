package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/dense"
)

// benchFoldMany compares three ways to fold the adapters of P profiles at once, on one thread: one
// after another, with FoldMany, and as matrix products, [P,N] by [N,d·b] in each block and on each
// side, whose result is not even taken apart into adapters.
func benchFoldMany(_ context.Context, v env) (result, error) {
	r := result{Name: "foldmany", What: "ms a profile to fold P profiles at once, k=50, L=6, d=384, b=24, F32, one " +
		"thread"}
	for _, n := range []int{150, 400} {
		p := foldBank
		p.N = n
		b, err := bank.NewRandom(p)
		if err != nil {
			return r, err
		}
		err = errors.Join(foldMany(v, &r, b), b.Close())
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func foldMany(v env, r *result, b *bank.Bank) error {
	ways := []struct {
		name string
		fold func(*bank.Bank, []*bitmask.Mask) error
	}{{"one by one", foldEach}, {"FoldMany", foldTogether}, {"matrix product", foldProduct}}
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range v.rounds + 1 {
		for _, P := range []int{1, 2, 4, 8, 16, 32, 64} {
			for _, way := range ways {
				masks := make([]*bitmask.Mask, P)
				for i := range masks {
					var err error
					if masks[i], err = randomMask(rng, b.Properties().N, foldK, foldBank.Blocks); err != nil {
						return err
					}
				}
				began := time.Now()
				if err := way.fold(b, masks); err != nil {
					return err
				}
				if round > 0 { // the first one warms up
					r.add(fmt.Sprintf("%s, N=%d", way.name, b.Properties().N), "ms", float64(P),
						time.Since(began).Seconds()*1e3/float64(P))
				}
			}
		}
	}
	return nil
}

func foldEach(b *bank.Bank, masks []*bitmask.Mask) error {
	var errs []error
	for _, m := range masks {
		_, err := b.Fold(m, nil)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func foldTogether(b *bank.Bank, masks []*bitmask.Mask) error {
	_, errs := b.FoldMany(masks, make([][]float32, len(masks)))
	return errors.Join(errs...)
}

func foldProduct(b *bank.Bank, masks []*bitmask.Mask) error {
	p := b.Properties()
	var ids []int32
	for i := range 2 * p.Blocks {
		side, block := bank.Side(i/p.Blocks), i%p.Blocks
		share := make([]float32, len(masks)*p.N)
		for j, m := range masks {
			ids = m.Indices(side, block, ids[:0])
			for _, id := range ids {
				share[j*p.N+int(id)] = 1 / float32(len(ids))
			}
		}
		rows, _, err := b.Rows(side, block)
		if err != nil {
			return err
		}
		n := p.Elems()
		dense.Gemm(len(masks), n, p.N, share, p.N, 1, rows, n, make([]float32, len(masks)*n), n, false)
	}
	return nil
}
