package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

const (
	// peersName is the measurement's, and that of its part of the document.
	peersName = "peers"
	// peersRows is how many rows, each of another profile, a batch has.
	peersRows = 64
	// peersLimit is the time after which benchPeers begins no second round.
	peersLimit = 9 * time.Minute

	// bareEncoder is the name of our encoder alone; in another precision the precision follows.
	bareEncoder = "xpeft's bare encoder"
	// How the names of the series end: texts/s, ms, % and % of a rival.
	inBatches, alone, right, changed = ", 64 rows", ", one text", ", right answers", ", answers changed"
)

// ownPrecisions are those of our series, float32 first.
var ownPrecisions = []string{"", "bfloat16", "int16", "int8"}

// inPrecision is the name of a series of ours.
func inPrecision(name, precision string) string { return strings.TrimSpace(name + " " + precision) }

// rival is one system under comparison.
type rival struct {
	name string
	slow bool // it gets one batch and few single texts
	// answer says how many ms each batch of texts took.
	answer func(ctx context.Context, batches [][]string) ([]float64, error)
}

// benchPeers compares us with Python's libraries and hugot on the same texts, tokenising included.
// In a round each rival in turn answers a few batches of 64 rows, then single texts; every second
// round runs in the opposite order.
func benchPeers(ctx context.Context, v env) (r result, err error) {
	r = result{Name: peersName, What: fmt.Sprintf("%d rows, for xpeft of as many cached profiles "+
		"(N=%d, k=%d, all blocks), and one text; news headlines, T ≤ %d, tokenising included, %d threads",
		peersRows, fixtureN, fixtureK, fixtureTokens, runtime.NumCPU())}
	if v.python == "" {
		return r, skipped("make bench-peers runs it")
	}
	began := time.Now()
	dir, remove, err := fixture(ctx, v, peersRows)
	if err != nil {
		return r, err
	}
	defer remove()
	rivals, end, err := ownRivals(ctx, dir, v.model)
	defer func() { err = errors.Join(err, end()) }()
	if err != nil {
		return r, err
	}
	others, stop, err := otherRivals(ctx, v, &r)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return r, err
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		r.Notes = append(r.Notes, precisionNote(string(info)))
	}
	if err := peersRounds(ctx, v, &r, append(rivals, others...), began); err != nil {
		return r, err
	}
	comparePeers(&r)
	return r, nil
}

// ownRivals are what is measured in this process; end closes them.
func ownRivals(ctx context.Context, dir, model string) (rivals []rival, end func() error, err error) {
	var closers []func() error
	end = func() (err error) {
		for _, c := range closers {
			err = errors.Join(err, c())
		}
		return err
	}
	for _, in := range ownPrecisions {
		p, err := sdk.Open(ctx, dir, &sdk.Options{ReadOnly: true, Precision: in})
		if err != nil {
			return nil, end, fmt.Errorf("xpeft %s: %w", in, err)
		}
		closers = append(closers, p.Close)
		if st, err := p.Stats(ctx); err != nil {
			return nil, end, err
		} else if in != "" && st.Precision != in {
			continue // this CPU would answer in float32, which is there
		}
		s, err := open(model)
		if err != nil {
			return nil, end, err
		}
		closers = append(closers, s.close)
		if err := s.enc.UsePrecision(in); err != nil {
			return nil, end, err
		}
		rivals = append(rivals,
			rival{name: inPrecision("xpeft", in), answer: timedEach(func(ctx context.Context, texts []string) error {
				return predictAll(ctx, p, requests(texts, len(texts), 0))
			})},
			rival{name: inPrecision(bareEncoder, in), answer: timedEach(func(_ context.Context, texts []string) error {
				return bareBatch(s.enc, s.tok, texts, nil)
			})})
	}
	return rivals, end, nil
}

// timedEach times f of each batch.
func timedEach(f func(ctx context.Context, texts []string) error) func(context.Context, [][]string) ([]float64, error) {
	return func(ctx context.Context, batches [][]string) ([]float64, error) {
		at := -1
		return timed(len(batches), func() error { at++; return f(ctx, batches[at]) })
	}
}

// peersRounds stops early where the machine is too slow for all rounds.
func peersRounds(ctx context.Context, v env, r *result, rivals []rival, began time.Time) error {
	for round := range v.rounds {
		spent := time.Since(began).Round(time.Second)
		if round > 0 && spent > peersLimit {
			note := fmt.Sprintf("%d of %d rounds, as none begins after %v", round, v.rounds, peersLimit)
			r.Notes = append(r.Notes, note)
			return nil
		}
		fmt.Fprintf(os.Stderr, "peers: round %d of %d, after %v\n", round+1, v.rounds, spent)
		for _, c := range rivals {
			if err := c.round(ctx, v.texts, round, r); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		slices.Reverse(rivals)
	}
	return nil
}

// round adds a round's samples of one rival.
func (c rival) round(ctx context.Context, texts []string, round int, r *result) error {
	batches, singles := 2, 40
	if c.slow {
		batches, singles = max(0, 1-round), max(0, 8-4*round)
	}
	ms, err := c.times(ctx, texts, peersRows, batches, round)
	if err != nil {
		return err
	}
	for _, ms := range ms {
		r.add(c.name+inBatches, "texts/s", 0, peersRows/ms*1e3)
	}
	if ms, err = c.times(ctx, texts, 1, singles, round); err != nil {
		return err
	}
	for _, ms := range ms {
		r.add(c.name+alone, "ms", 0, ms)
	}
	return nil
}

// times are those of n batches, the same for all rivals in a round; one more before them warms up.
func (c rival) times(ctx context.Context, texts []string, rows, n, round int) ([]float64, error) {
	if n == 0 {
		return nil, nil
	}
	batches := make([][]string, n+1)
	for i := range batches {
		batches[i] = batchTexts(texts, rows, round*len(batches)+i)
	}
	ms, err := c.answer(ctx, batches)
	if err == nil && len(ms) != len(batches) {
		err = fmt.Errorf("got %d times of %d batches", len(ms), len(batches))
	}
	if err != nil {
		return nil, err
	}
	return ms[1:], nil
}

// comparePeers adds the ratios of each of our precisions to our bare encoder in it and to each
// rival.
func comparePeers(r *result) {
	best := "" // of transformers' precisions, for one text
	p50 := func(name string) float64 { return quantile(r.samples(name+alone), 0.5) }
	names := rivalNames(r)
	for _, name := range names {
		if strings.HasPrefix(name, "transformers ") && (best == "" || p50(name) < p50(best)) {
			best = name
		}
	}
	for _, in := range ownPrecisions {
		own, bare := inPrecision("xpeft", in), inPrecision(bareEncoder, in)
		if !slices.Contains(names, own) {
			continue
		}
		for _, name := range names {
			bound := ""
			switch {
			case name == bare:
				bound = "≥ 0.92"
			case strings.HasPrefix(name, "xpeft"):
				continue
			case in == "" && name == "transformers float32":
				bound = "≥ 1.8"
			case in == "bfloat16" && name == "transformers bfloat16":
				bound = "≥ 2"
			}
			r.compare(own+" over "+name+inBatches, own+inBatches, name+inBatches, bound)
		}
		if best != "" {
			r.compare("p50 of "+own+" over "+best+alone, own+alone, best+alone, "≤ 0.6")
		}
	}
}
