package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/xpeft/xpeft/internal/folder"
)

// The folders in testdata that hold profiles of all blocks, and what answered for them, were made
// by commit c1c3750, which trained with libtorch 2.1.2: allblocks and imported over the tests' tiny
// model, english over all-MiniLM-L6-v2. ann has two revisions and an example that waits, own a head
// of its own, num gives numbers, few has no examples stored, row has a label of its own, new was
// observed only. imported's bank is one as of AdapterHub: no LN_b.

// libtorchFolder unpacks one.
func libtorchFolder(t *testing.T, name string) (dir string) {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir = t.TempDir()
	packed, err := filepath.Glob(filepath.Join("testdata", name, "*.zst"))
	if err != nil {
		t.Fatal(err)
	}
	banks, err := filepath.Glob(filepath.Join("testdata", name, "banks", "*.zst"))
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.MakeBanks(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Concat(packed, banks) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if data, err = z.DecodeAll(data, nil); err != nil {
			t.Fatal(err)
		}
		to := strings.TrimPrefix(strings.TrimSuffix(path, ".zst"), filepath.Join("testdata", name))
		writeFile(t, filepath.Join(dir, to), data)
	}
	return dir
}

// libtorchAnswers are what answered for the profiles of a folder.
func libtorchAnswers(t *testing.T, name string) (rows []libtorchAnswer) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name, "answers.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var row libtorchAnswer
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

type libtorchAnswer struct {
	Profile, Text, Label string
	Revision             uint64
	P                    []float64
	Value                float64
}

// differs says how far an answer is from what libtorch gave: in probability, or as a share of the
// value.
func (a libtorchAnswer) differs(p Prediction) (worst float64) {
	if p.Label != a.Label || p.Revision != a.Revision || len(p.Probabilities) != len(a.P) {
		return math.Inf(1)
	}
	for i, q := range p.Probabilities {
		worst = max(worst, math.Abs(float64(q.P)-a.P[i]))
	}
	return max(worst, math.Abs(valueOf(p)-a.Value)/max(1, math.Abs(a.Value)))
}

// onTiny are the options of a folder over the tiny model.
func onTiny(t *testing.T) *Options { return &Options{Model: tinyModel(t), Threads: 1} }

// TestServesLibtorchsProfiles: profiles of all blocks, over random and imported banks, answer as
// they did where they were learned.
func TestServesLibtorchsProfiles(t *testing.T) {
	for _, name := range []string{"allblocks", "imported", "english"} {
		t.Run(name, func(t *testing.T) {
			o := onTiny(t)
			if name == "english" {
				if o.Model = os.Getenv("XPEFT_MODEL"); o.Model == "" {
					t.Skip("no XPEFT_MODEL")
				}
			}
			o.ReadOnly = true
			p := open(t, libtorchFolder(t, name), o)
			rows := libtorchAnswers(t, name)
			for _, a := range rows {
				got := mustPredict(t, p, a.Profile, a.Text, PredictOptions{NoTaught: true})
				if d := a.differs(got); d > 1e-4 {
					t.Errorf("%s, %q: got %+v, want %+v", a.Profile, a.Text, got, a)
				}
			}
			if len(rows) < 6 {
				t.Errorf("got %d answers", len(rows))
			}
		})
	}
}

// untrainableNow is what Stats and the folder say of profiles that the engine cannot train as they
// are.
func untrainableNow(t *testing.T, p *Folder) string {
	t.Helper()
	var ids []string
	for id, err := range folder.Untrainable(p.store, p.dir, p.engine.Trains(), p.engine.TrainsLoRA()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if st, err := p.Stats(context.Background()); err != nil || st.Untrainable != int64(len(ids)) {
		t.Errorf("Stats counts %d, %v, want %d", st.Untrainable, err, len(ids))
	}
	return strings.Join(ids, " ")
}

// needsNative skips what libtorch, which trains all blocks, does otherwise.
func needsNative(t *testing.T, p *Folder) {
	t.Helper()
	if trainsAll(p) {
		t.Skip("libtorch trains these profiles as they are")
	}
}

// TestNativeRelearnsAllBlocks: what the native engine cannot train it serves, and learns in the
// last block; what is worse does not replace it, and nothing is lost.
func TestNativeRelearnsAllBlocks(t *testing.T) {
	ctx := context.Background()
	p := open(t, libtorchFolder(t, "allblocks"), onTiny(t))
	needsNative(t, p)
	if got := untrainableNow(t, p); got != "ann few num own row" {
		t.Errorf("got %q", got)
	}
	was := func(id string) Prediction {
		return mustPredict(t, p, id, "win a discount", PredictOptions{NoTaught: true})
	}
	before, info := was("ann"), profileOf(t, p, "ann")

	// One that is worse is measured, and not installed.
	rep := mustLearn(t, p, "own", randomly(30), own(20))
	if rep.Installed || rep.Moved || rep.Before.N == 0 || !strings.HasPrefix(rep.Reason, "kept the old revision") ||
		!strings.Contains(untrainableNow(t, p), "own") {
		t.Errorf("got %+v, or own has gone: %q", rep, untrainableNow(t, p))
	}

	// Observe makes ann due; she is learned in the last block.
	for i, e := range examples(12, 0) {
		mustObserve(t, p, "ann", Example{Text: fmt.Sprint(e.Text, " again ", i), Label: e.Label})
	}
	drain(t, p)
	rep = learnStored(t, p, "ann", forced())
	if !rep.Installed || rep.Engine != "native" || rep.Device != "cpu" || rep.Before.N == 0 ||
		rep.Before.N != rep.After.N {
		t.Errorf("got %+v, want a revision that was measured beside the old one", rep)
	}
	if now := profileOf(t, p, "ann"); now.Bank != info.Bank || now.Blocks != 2 {
		t.Errorf("got %+v, want the same bank", now)
	}
	if got := untrainableNow(t, p); got != "few num own row" {
		t.Errorf("got %q after ann learned", got)
	}
	// Rollback serves what libtorch made; a later Learn moves it again.
	backTo(t, p, "ann", info.Revision)
	if now := was("ann"); distance(now, before) > 1e-6 {
		t.Errorf("got %+v, want %+v", now, before)
	}
	if got := untrainableNow(t, p); got != "ann few num own row" {
		t.Errorf("got %q after Rollback", got)
	}
	if rep := learnStored(t, p, "ann", forced()); !rep.Moved || !rep.Installed {
		t.Errorf("got %+v, want ann moved", rep)
	}
	// The other kinds of heads.
	for _, id := range []string{"own", "num", "row"} {
		kind := profileOf(t, p, id)
		rep := learnStored(t, p, id, forced())
		if now := profileOf(t, p, id); !rep.Moved || now.Head != kind.Head || !slices.Equal(now.Labels, kind.Labels) {
			t.Errorf("%s: got %+v and %+v", id, rep, now)
		}
	}
	// few has no examples: it stays until it is given some.
	_, err := p.teachOne(ctx, "few", LearnOptions{})
	wantError(t, "nothing to learn from", err, ErrExample)
	if got := untrainableNow(t, p); got != "few" {
		t.Errorf("got %q, want few alone", got)
	}
	// new is a profile of the same bank that was only observed; so is a new one.
	for _, id := range []string{"new", "newer"} {
		if rep := mustLearn(t, p, id, examples(12, 0), nil); !rep.Installed || rep.Moved {
			t.Errorf("%s: got %+v", id, rep)
		}
	}
	if got := untrainableNow(t, p); got != "few" {
		t.Errorf("got %q, want few alone", got)
	}
}

// TestNativeRelearnsImported: over a bank without LN_b, in all blocks, nothing can be trained
// natively: profiles move to a bank that can, and stay if that is worse.
func TestNativeRelearnsImported(t *testing.T) {
	ctx := context.Background()
	p := open(t, libtorchFolder(t, "imported"), onTiny(t))
	needsNative(t, p)
	if got := untrainableNow(t, p); got != "ann few new num own row" {
		t.Errorf("got %q", got)
	}
	was := profileOf(t, p, "ann")
	rep := learnStored(t, p, "own", forced())
	if now := profileOf(t, p, "own"); !rep.Installed || !rep.Moved || now.Blocks != 1 || now.Head != OwnHead {
		t.Errorf("got %+v and %+v, want own over the engine's bank", rep, now)
	}
	moved := 0
	for rep, err := range p.RebaseAll(ctx) {
		if err != nil {
			if !strings.Contains(err.Error(), `"few"`) {
				t.Error(err)
			}
			continue
		}
		now := profileOf(t, p, rep.Profile)
		prior := strings.Contains(rep.Reason, "prior alone")
		if rep.Moved != rep.Installed || (now.Blocks == 1) != (rep.Installed && !prior) || prior != (now.Bank == "") {
			t.Errorf("got %+v and %+v", rep, now)
		}
		if rep.Installed && !prior {
			if moved++; now.Bank == was.Bank || now.N != defaultN || now.K != defaultK(defaultN) {
				t.Errorf("got %+v, want the engine's bank", now)
			}
		}
	}
	if moved == 0 {
		t.Error("none moved")
	}
	rep = mustLearn(t, p, "ann", examples(30, 0), &LearnOptions{Force: true})
	if now := profileOf(t, p, "ann"); !rep.Installed || now.Blocks != 1 {
		t.Errorf("got %+v and %+v", rep, now)
	}
	backTo(t, p, "ann", was.Revision)
	if now := profileOf(t, p, "ann"); now.Bank != was.Bank {
		t.Errorf("got %+v after Rollback, want ann over the imported bank", now)
	}
	for i := range 6 { // a new one gets the engine's bank from the first
		mustObserve(t, p, "ben", examples(6, 0)[i])
	}
	drain(t, p)
	learnStored(t, p, "ben", forced())
	if now := profileOf(t, p, "ben"); now.Blocks != 1 || now.K != defaultK(defaultN) || now.Examples == 0 {
		t.Errorf("got %+v, want ben over the engine's bank", now)
	}
	if got := untrainableNow(t, p); !strings.Contains(got, "few") || strings.Contains(got, "ben") {
		t.Errorf("got %q", got)
	}
}

// learnStored learns a profile anew from what is stored of it.
func learnStored(t *testing.T, p *Folder, id string, o *LearnOptions) *Report {
	t.Helper()
	opts, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	rep, err := p.teachOne(context.Background(), id, opts)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// backTo serves an earlier revision of a profile again.
func backTo(t *testing.T, p *Folder, id string, revision uint64) {
	t.Helper()
	if _, err := p.Rollback(context.Background(), id, &RollbackOptions{Revision: revision}); err != nil {
		t.Fatal(err)
	}
}

func profileOf(t *testing.T, p *Folder, id string) ProfileInfo {
	t.Helper()
	info, err := p.Profile(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
