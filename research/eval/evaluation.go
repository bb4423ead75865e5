package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/research/stats"
)

// Evaluation runs modes on splits and seeds, one file each. A run that is there is not repeated, so
// an evaluation can be cut off and go on, and two processes may work on one folder.
type Evaluation struct {
	Data    *Data
	Machine *Machine
	Out     string // folder of run files
	Modes   []Mode
	Splits  int
	Seeds   int
	Shots   []int // most training texts a person; none: all there are
	Most    int   // texts kept of a person
	New     int   // most new people of a split; 0: all
	Log     func(string)

	folds  [folds * choosingSeeds]*World
	worlds map[[2]int]*World
}

func (e *Evaluation) say(format string, args ...any) {
	if e.Log != nil {
		e.Log(fmt.Sprintf(format, args...))
	}
}

// Close frees what Run made.
func (e *Evaluation) Close() {
	for _, w := range e.folds {
		if w != nil {
			w.Close()
		}
	}
	for _, w := range e.worlds {
		w.Close()
	}
}

// Run does what is missing in the folder: seed by seed and split by split, so that what a cut-off
// run leaves is balanced.
func (e *Evaluation) Run(ctx context.Context) error {
	if err := os.MkdirAll(e.Out, 0o777); err != nil {
		return err
	}
	shots := e.Shots
	if len(shots) == 0 {
		shots = []int{0}
	}
	for seed := range e.Seeds {
		for split := range e.Splits {
			for _, m := range e.Modes {
				for _, n := range shots {
					err := e.item(ctx, m, split, seed, n)
					if errors.Is(err, engine.ErrUntrainable) {
						e.say("%s: skipped: %s", m.Name, untrainable)
						continue
					}
					if err != nil {
						return fmt.Errorf("%s, split %d, seed %d: %w", m.Name, split, seed, err)
					}
				}
			}
			if w := e.worlds[[2]int{split, seed}]; w != nil {
				w.Close()
				delete(e.worlds, [2]int{split, seed})
			}
		}
	}
	return nil
}

// untrainable is why a mode that trains adapters in more blocks than the engine can is left out.
const untrainable = "it trains adapters in all blocks, which needs libtorch: build with -tags torch"

// item is one run, unless it is there or another process has it.
func (e *Evaluation) item(ctx context.Context, m Mode, split, seed, shots int) error {
	path := filepath.Join(e.Out, fmt.Sprintf("%s-split%d-seed%d-shots%d.json", m.Name, split, seed, shots))
	release, ok, err := claimRun(path, e.Data.Digest)
	if err != nil || !ok {
		return err
	}
	defer release()
	c, err := e.choose(ctx, m)
	if err != nil {
		return err
	}
	w, err := e.world(ctx, split, seed)
	if err != nil {
		return err
	}
	began, s := time.Now(), m.Settings[c.Chosen]
	profiles, err := e.serve(ctx, w, m, s, shots)
	if err != nil {
		return err
	}
	r := Run{Format: runFormat, Data: e.Data.Digest, Task: profilesTask, Mode: m.Name, Split: split, Seed: seed,
		Shots: shots, Setting: s.Name, Tried: c.Tried,
		N: s.Bank.N, K: s.Config.K, Blocks: s.Bank.Blocks, Profiles: profiles,
		Started: began.UTC().Format(time.RFC3339), Seconds: time.Since(began).Seconds()}
	var acc []float64
	for _, p := range profiles {
		acc = append(acc, p.Metrics["accuracy"])
	}
	e.say("%-16s split %d seed %d shots %d: accuracy %.4f, %d people, %.1f s", m.Name, split, seed, shots,
		stats.Mean(acc), len(acc), r.Seconds)
	return writeJSON(path, r)
}

func (e *Evaluation) world(ctx context.Context, split, seed int) (*World, error) {
	key := [2]int{split, seed}
	if w := e.worlds[key]; w != nil {
		return w, nil
	}
	bank, fresh := Split(e.Data.People, split)
	if e.New > 0 {
		fresh = fresh[:min(e.New, len(fresh))]
	}
	w, err := NewWorld(ctx, e.Machine, e.Data, bank, fresh, uint64(seed), e.Most)
	if err != nil {
		return nil, err
	}
	if e.worlds == nil {
		e.worlds = map[[2]int]*World{}
	}
	e.worlds[key] = w
	return w, nil
}

// fold is the i-th world of development people alone.
func (e *Evaluation) fold(ctx context.Context, i int) (_ *World, err error) {
	if e.folds[i] == nil {
		bank, fresh := Fold(e.Data.People, i%folds)
		e.folds[i], err = NewWorld(ctx, e.Machine, e.Data, bank, fresh, uint64(i/folds), e.Most)
	}
	return e.folds[i], err
}

// serve runs a mode for every new person of a world.
func (e *Evaluation) serve(ctx context.Context, w *World, m Mode, s Setting, shots int) ([]Profile, error) {
	parts := slices.Clone(w.New)
	if shots > 0 {
		for i, p := range parts {
			parts[i] = p.first(shots)
		}
	}
	all, err := m.serveParts(ctx, w, parts, s)
	if err != nil {
		return nil, err
	}
	out := make([]Profile, len(parts))
	for i, p := range parts {
		out[i] = w.profile(p, all[i])
	}
	return out, nil
}

// serveParts serves people at once, or several at a time.
func (m Mode) serveParts(ctx context.Context, w *World, parts []*Part, s Setting) ([]served, error) {
	if m.serveAll != nil {
		return m.serveAll(ctx, w, parts, s)
	}
	all := make([]served, len(parts))
	return all, each(len(parts), runtime.GOMAXPROCS(0), func(i int) (err error) {
		began := time.Now()
		if all[i], err = m.serve(ctx, w, parts[i], s); err != nil {
			return fmt.Errorf("person %s: %w", parts[i].ID, err)
		}
		all[i].seconds = time.Since(began).Seconds()
		return nil
	})
}

// profile scores what a mode made of a person.
func (w *World) profile(p *Part, got served) Profile {
	truth := make([]int, len(p.Test))
	for j, x := range p.Test {
		truth[j] = x.Class
	}
	out := Profile{ID: p.ID, Train: len(p.Train), Test: len(p.Test), Majority: w.Labels[mostFrequent(p.Counts)],
		Bytes: got.bytes, Seconds: got.seconds,
		Metrics: map[string]float64{"accuracy": stats.Accuracy(truth, got.predicted),
			"macro_f1": stats.MacroF1(truth, got.predicted)}}
	if k := got.mask; k != nil {
		out.Mask = &Mask{k.N, k.K, k.Blocks, k.Bytes()}
	}
	return out
}
