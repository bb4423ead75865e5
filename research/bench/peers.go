package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/xpeft/xpeft/sdk"
)

// peersRows is how many rows, each of another profile, a batch has.
const peersRows = 64

// benchPeers compares batches of 64 rows of 64 profiles, and single texts, with Python's libraries on the same texts, threads and longest text, tokenising
// included on both sides; then the learning of 60 texts. A round runs all of one side, then all of the other, which begins it in every second round.
func benchPeers(ctx context.Context, v env) (result, error) {
	r := result{Name: "peers", What: fmt.Sprintf("%d rows of %d cached profiles (N=%d, k=%d, all blocks, F32), one text of one, and 60 texts × 10 epochs learned, beside Python's libraries; T ≤ %d, 2 threads",
		peersRows, peersRows, fixtureN, fixtureK, fixtureTokens)}
	py, err := newPython(v)
	if err != nil {
		return r, err
	}
	defer os.Remove(py.texts)
	own, err := newOwnSide(ctx, v)
	if err != nil {
		return r, err
	}
	defer own.close()
	if err := own.side.all(); err != nil {
		r.Notes = append(r.Notes, "60 texts learned: "+err.Error())
	}
	batches := 6
	if v.full {
		batches = 12
	}
	sides := []func() error{
		func() error { return own.round(ctx, &r, batches) },
		func() error { return py.round(ctx, &r, batches) },
	}
	for round := range v.rounds {
		for _, side := range sides {
			if err := side(); err != nil {
				return r, err
			}
		}
		slices.Reverse(sides)
		if own.side.all() == nil && (v.full || round < 3) { // a quarter of a minute each
			if err := learnBeside(ctx, v, own, py, &r); err != nil {
				return r, err
			}
		}
	}
	comparePeers(&r)
	return r, nil
}

func comparePeers(r *result) {
	const batch, one = ", 64 rows", ", one text"
	r.compare("xpeft over transformers without an adapter"+batch, "xpeft"+batch, "transformers"+batch, "≥ 1.25")
	r.compare("xpeft over adapters"+batch, "xpeft"+batch, "adapters"+batch, "≥ 1.5")
	r.compare("xpeft over peft"+batch, "xpeft"+batch, "peft"+batch, "≥ 1.5")
	r.compare("xpeft over transformers without an adapter"+one, "xpeft"+one, "transformers"+one, "≥ 1.0")
	r.compare("xpeft over its own bare encoder"+batch, "xpeft"+batch, "bare encoder"+batch, "≥ 0.92")
	r.compare("adapters over xpeft, seconds to learn 60 texts", "adapters, 60 texts learned", "xpeft, 60 texts learned", "≥ 1.7")
}

// ownSide is what is measured in this process.
type ownSide struct {
	env    env
	store  *sdk.Folder
	side   side
	remove func()
}

func newOwnSide(ctx context.Context, v env) (o *ownSide, err error) {
	dir, remove, err := fixture(ctx, v, peersRows)
	if err != nil {
		return nil, err
	}
	o = &ownSide{env: v, remove: remove}
	if o.store, err = sdk.Open(ctx, dir, &sdk.Options{ReadOnly: true}); err != nil {
		return nil, errors.Join(err, o.close())
	}
	if o.side, err = open(v.model); err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func (o *ownSide) close() (err error) {
	if o.store != nil {
		err = o.store.Close()
	}
	if o.side.engine != nil {
		err = errors.Join(err, o.side.close())
	}
	o.remove()
	return err
}

// round adds a sample to each of our series. As peers.py does, it warms up by two batches and takes the median of the next ones, the same texts as there.
func (o *ownSide) round(ctx context.Context, r *result, batches int) error {
	for _, size := range []struct {
		rows int
		name string
	}{{peersRows, "64 rows"}, {1, "one text"}} {
		err := rate(r, "xpeft, "+size.name, size.rows, batches, func(at int) error {
			return predictAll(ctx, o.store, requests(o.env.texts, size.rows, at))
		})
		if err != nil {
			return err
		}
		err = rate(r, "bare encoder, "+size.name, size.rows, batches, func(at int) error {
			return bareBatch(o.side.enc, o.side.tok, batchTexts(o.env.texts, size.rows, at), nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rate adds texts per second.
func rate(r *result, name string, rows, batches int, batch func(at int) error) error {
	for at := range 2 {
		if err := batch(at); err != nil {
			return err
		}
	}
	at := 0
	ms, err := timed(batches, func() error { at++; return batch(at - 1) })
	if err != nil {
		return err
	}
	r.add(name, "texts/s", 0, float64(rows)/quantile(ms, 0.5)*1e3)
	return nil
}
