package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// Thirty tenants of a thousand profiles each, and ten tenants for each label.
const tenants, perTenant = 30, 1000

// putTenants stores three examples for each profile. All of a tenant have one label, so that the
// labels of what is trained on say whose it is.
func putTenants(t *testing.T, p *Folder) {
	t.Helper()
	ctx := context.Background()
	ref, b, err := p.newcomersBank()
	if err != nil {
		t.Fatal(err)
	}
	_, head, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	mask, err := learner.NewLogits(b.Properties().N, b.Properties().Blocks).Mask(p.k)
	if err != nil {
		t.Fatal(err)
	}
	put := func(i int) error {
		label := labels[i/perTenant*len(labels)/tenants]
		w := store.Write{}
		for j := range 3 {
			w.Append = append(w.Append, store.Example{Text: fmt.Sprintf("%s %d", texts[label][j], i), Label: label})
		}
		rec := &store.Profile{ID: fmt.Sprintf("tenant%02d/user%04d", i/perTenant, i%perTenant), Bank: ref, Head: head,
			Mask: mask}
		_, err := p.store.Put(ctx, rec, w)
		return err
	}
	var all sync.WaitGroup
	const at = 256 // share a transaction
	for w := range at {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := w; i < tenants*perTenant; i += at {
				if err := put(i); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	if all.Wait(); t.Failed() {
		t.FailNow()
	}
}

// checkEven fails unless counts are what chance allows of equal shares, within six standard
// deviations.
func checkEven(t *testing.T, what string, counts []int, of string) {
	t.Helper()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	share := 1 / float64(len(counts))
	mean, tolerance := float64(sum)*share, 6*math.Sqrt(float64(sum)*share*(1-share))
	least, most := slices.Min(counts), slices.Max(counts)
	t.Logf("%s: %d of %d %s, %d to %d each, want %.1f ± %.1f", what, sum, len(counts), of, least, most, mean, tolerance)
	if sum == 0 || mean-float64(least) > tolerance || float64(most)-mean > tolerance {
		t.Errorf("%s: got %v, want %.1f ± %.1f of each", what, counts, mean, tolerance)
	}
}

// TestTrainTenants: of 30,000 profiles under 30 prefixes, those that teach a head and a bank are of
// all prefixes alike.
func TestTrainTenants(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	putTenants(t, p)
	head, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}

	counts := make([]int, tenants)
	var ids []string
	err = p.sample(ctx, head, teachers{most: 6000}, func(id string, part split2) int {
		var tenant int
		if _, err := fmt.Sscanf(id, "tenant%d/", &tenant); err != nil {
			t.Fatal(err)
		}
		counts[tenant]++
		ids = append(ids, id)
		return len(part.train) + len(part.held)
	})
	if err != nil || len(ids) != 2000 {
		t.Errorf("got %d profiles (%v), want the 2,000 that have 6,000 examples", len(ids), err)
	}
	checkEven(t, "sampled", counts, "tenants")

	o := headOptions()
	o.MaxExamples, o.Force, o.Config.Epochs = 6000, true, 1
	rep, err := p.TrainHead(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Examples+rep.HeldOut != 6000 || rep.Profiles != 2000 {
		t.Errorf("got %+v, want 6,000 examples of 2,000 profiles", rep)
	}
	if head, _, err = p.shared(); err != nil {
		t.Fatal(err)
	}
	byLabel := make([]int, len(labels))
	for i, n := range head.Counts {
		byLabel[i] = int(n) / 2 // two in three examples are of one profile: its label's count says less than its sum
	}
	checkEven(t, "the head's examples", byLabel, "labels")

	job, _, err := p.bankJob(ctx, teachers{most: 6000})
	if err != nil {
		t.Fatal(err)
	}
	profiles, watched := make([]int, len(labels)), make([]int, len(labels))
	for _, b := range job.Profiles {
		profiles[b.Train[0].Class]++
	}
	for _, b := range job.Watch {
		watched[b.Held[0].Class]++
	}
	checkEven(t, "the bank's profiles", profiles, "labels")
	checkEven(t, "the watched profiles", watched, "labels")
}

// TestSampleLasts: the same profiles give the same sample, in the same order, and one that comes
// moves no other.
func TestSampleLasts(t *testing.T) {
	p := create(t, small(t))
	for i := range 40 {
		mustObserve(t, p, fmt.Sprint("user", i), examples(3, 0)...)
	}
	head, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	sampled := func() (ids []string) {
		err := p.sample(context.Background(), head, teachers{most: 60}, func(id string, _ split2) int {
			ids = append(ids, id)
			return 3
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	first := sampled()
	if again := sampled(); len(first) != 20 || !slices.Equal(first, again) {
		t.Errorf("got %q, then %q, want the same 20", first, again)
	}
	mustObserve(t, p, "another", examples(3, 0)...)
	now := sampled()
	if i := slices.Index(now, "another"); i >= 0 {
		now = slices.Delete(now, i, i+1)
	}
	if !slices.Equal(now, first[:len(now)]) {
		t.Errorf("with one more: got %q, want the first of %q", now, first)
	}
}

// TestMaxPerProfile: one profile with very many examples teaches no more than its part.
func TestMaxPerProfile(t *testing.T) {
	for _, c := range []struct {
		teachers
		profiles int64
		want     int
	}{
		{teachers{most: 20_000}, 0, 20_000},
		{teachers{most: 20_000}, 4, 5000},
		{teachers{most: 20_000}, 1000, 20},
		{teachers{most: 20_000}, 30_000, 16},
		{teachers{most: 20_000}, 1 << 40, 16},
		{teachers{most: 20_000, each: 7}, 4, 7},
		{teachers{most: 500}, 100, 5},
		{teachers{most: 12}, 5, 2},
		{teachers{most: 1}, 5, 1},
	} {
		if got := c.perProfile(c.profiles); got != c.want {
			t.Errorf("%+v of %d profiles: got %d of each, want %d", c.teachers, c.profiles, got, c.want)
		}
	}
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "heavy", examples(300, 0), forced())
	for i := range 9 {
		mustObserve(t, p, fmt.Sprint("light", i), examples(3, 0)...)
	}
	for _, c := range []struct{ most, each, want int }{{0, 0, 300}, {100, 0, 10}, {0, 40, 40}} {
		o := headOptions()
		o.MaxExamples, o.MaxPerProfile, o.Config.Epochs = c.most, c.each, 1
		rep, err := p.TrainHead(ctx, o)
		if err != nil || rep.Profiles != 10 || rep.Examples+rep.HeldOut != c.want+27 {
			t.Errorf("%+v: got %+v (%v), want %d examples of the heavy one and 27 of nine others", c, rep, err, c.want)
		}
	}
	_, err := p.TrainHead(ctx, &TrainHeadOptions{MaxPerProfile: -1})
	wantError(t, "a head of less than none each", err, ErrConfig)
	_, err = p.TrainBank(ctx, &TrainBankOptions{MaxPerProfile: -1})
	wantError(t, "a bank of less than none each", err, ErrConfig)
}

// cutTraining begins a TrainBank and ends it after its third step.
func cutTraining(t *testing.T, p *Folder, edit func(*learner.BankConfig)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := p.TrainBank(ctx, &TrainBankOptions{Edit: edit, Progress: func(step, _ int, _ float32) {
		if step == 3 {
			cancel()
		}
	}})
	wantError(t, "a training that is cut off", err, context.Canceled)
}

// TestTrainBankSetsAside: a checkpoint of other data or another configuration, or a damaged one, is
// kept beside with a log line, and training starts anew.
func TestTrainBankSetsAside(t *testing.T) {
	var book logbook
	c := small(t)
	c.Options.Logger = slog.New(slog.NewTextHandler(&book, nil))
	p := create(t, c)
	for i := range 3 {
		mustLearn(t, p, fmt.Sprint("user", i), examples(12, i%2), nil)
	}
	edit := func(c *learner.BankConfig) {
		fewSteps(c)
		c.CheckpointEvery = 1
	}
	path := filepath.Join(folder.Banks(p.dir), "training.checkpoint")
	for what, change := range map[string]func(){
		"a few examples more": func() { // of one that is held out, training would not know
			for i := range 4 {
				mustObserve(t, p, "user1", Example{Text: fmt.Sprint("one more ", i), Label: labels[0]})
			}
		},
		"another configuration": func() {
			edit = func(c *learner.BankConfig) {
				fewSteps(c)
				c.CheckpointEvery,
					c.Seed = 1, 9
			}
		},
		"damaged": func() { writeFile(t, path, []byte("damaged")) },
	} {
		cutTraining(t, p, edit)
		change()
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		book.b.Reset()
		rep, err := p.TrainBank(context.Background(), &TrainBankOptions{Edit: edit})
		if err != nil || rep.Resumed != 0 || len(rep.Losses) == 0 {
			t.Errorf("%s: got %+v (%v), want a training from the start", what, rep, err)
			os.Remove(path)
			continue
		}
		if kept, err := os.ReadFile(path + ".old"); err != nil || string(kept) != string(was) {
			t.Errorf("%s: got %d bytes set aside (%v), want the %d of the checkpoint", what, len(kept), err, len(was))
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v, want no checkpoint after the training", what, err)
		}
		if log := book.b.String(); strings.Count(log, "set a checkpoint aside") != 1 ||
			!strings.Contains(log, "level=WARN") {
			t.Errorf("%s: got the log %s, want a warning", what, log)
		}
	}
}

// TestForgetDropsAdapterCheckpoint: whoever is forgotten is in no checkpoint of adapters any more,
// nor in one that was set aside or that a training under way leaves.
func TestForgetDropsAdapterCheckpoint(t *testing.T) {
	p := create(t, small(t))
	for i := range 4 {
		mustLearn(t, p, fmt.Sprint("user", i), examples(12, i%2), nil)
	}
	edit := func(c *learner.BankConfig) {
		fewSteps(c)
		c.CheckpointEvery = 1
	}
	path := folder.AdapterCheckpoint(p.dir)
	none := func(when string) {
		t.Helper()
		for _, path := range []string{path, folder.SetAside(path)} {
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: got %v, want no %s", when, err, path)
			}
		}
	}
	cutTraining(t, p, edit)
	writeFile(t, folder.SetAside(path), []byte("of before"))
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := p.Forget(t.Context(), "user2"); err != nil {
		t.Fatal(err)
	}
	none("forgotten after")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := p.TrainBank(ctx, &TrainBankOptions{Edit: edit, Progress: func(step, _ int, _ float32) {
		if step == 3 {
			if err := p.Forget(t.Context(), "user3"); err != nil {
				t.Error(err)
			}
			cancel()
		}
	}})
	wantError(t, "a training that is cut off", err, context.Canceled)
	none("forgotten meanwhile")
}

// TestTrainBankBusy: a second TrainBank at once says so, however many Learns there may be, and the
// first is not disturbed.
func TestTrainBankBusy(t *testing.T) {
	for _, learns := range []int{1, 2} {
		c := small(t)
		c.Options.Learns, c.Options.Workers = learns, 2
		p := create(t, c)
		for i := range 3 {
			mustLearn(t, p, fmt.Sprint("user", i), examples(12, i%2), nil)
		}
		tried := false
		rep, err := p.TrainBank(context.Background(),
			&TrainBankOptions{Edit: fewSteps, Progress: func(step, _ int, _ float32) {
				if step == 2 {
					tried = true
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // it must not wait for the first
					defer cancel()
					_, err := p.TrainBank(ctx, &TrainBankOptions{Edit: fewSteps})
					wantError(t, "a second one", err, ErrBusy)
				}
			}})
		if err != nil || !tried || rep.Resumed != 0 {
			t.Errorf("the first: got %+v (%v), want it undisturbed by a second", rep, err)
		}
		if _, err := p.TrainBank(context.Background(), &TrainBankOptions{Edit: fewSteps}); err != nil {
			t.Errorf("afterwards: got %v", err)
		}
	}
}

// TestRebaseAllIsEven: whoever ends a RebaseAll early has moved some of each tenant.
func TestRebaseAllIsEven(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	for i := range 30 {
		mustLearn(t, p, fmt.Sprintf("tenant%d/user%d", i/10, i%10), examples(6, 0), forced())
	}
	o := headOptions()
	o.Force, o.KeepBank = true, true // so the head alone says who is to move
	if _, err := p.TrainHead(ctx, o); err != nil {
		t.Fatal(err)
	}
	turns, tenants := 0, map[string]int{}
	for rep, err := range p.RebaseAll(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		tenant, _, _ := strings.Cut(rep.Profile, "/")
		if tenants[tenant]++; turns == 9 {
			break
		}
		turns++
	}
	if len(tenants) != 3 { // the hash decides: it is the same each time
		t.Errorf("got turns of %v in the first ten, want some of each of three tenants", tenants)
	}
}
