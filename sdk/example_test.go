package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// Examples need a model: $XPEFT_MODEL is the folder of one, in Hugging Face's layout. The bank here
// is small, to be quick.
var config = sdk.Config{
	Model:  os.Getenv("XPEFT_MODEL"),
	Bank:   sdk.RandomBank{N: 24, Seed: 42},
	Labels: []string{"urgent", "later"},
}

var examples = []sdk.Example{
	{Text: "the production server is down", Label: "urgent"},
	{Text: "customers cannot log in", Label: "urgent"},
	{Text: "the payment service returns errors", Label: "urgent"},
	{Text: "our database is unreachable", Label: "urgent"},
	{Text: "the disk of the main host is full", Label: "urgent"},
	{Text: "could you review my draft some day", Label: "later"},
	{Text: "let us plan the summer party", Label: "later"},
	{Text: "the library book is due next month", Label: "later"},
	{Text: "here are the photos of the trip", Label: "later"},
	{Text: "a newsletter about gardening", Label: "later"},
}

// short makes a Learn of seconds a Learn of an instant.
func short() *sdk.LearnOptions {
	c := learner.Default()
	c.K, c.Epochs = 8, 2
	return &sdk.LearnOptions{Config: &c}
}

// newStore makes a store in a folder that clean removes.
func newStore() (p *sdk.Folder, clean func()) {
	dir, err := os.MkdirTemp("", "xpeft-example-")
	if err != nil {
		log.Fatal(err)
	}
	p, err = sdk.Create(context.Background(), filepath.Join(dir, "profiles"), config)
	if err != nil {
		log.Fatal(err)
	}
	return p, func() { p.Close(); os.RemoveAll(dir) }
}

// learned is a new store in which alice has learned.
func learned() (p *sdk.Folder, clean func()) {
	p, clean = newStore()
	if _, err := p.Learn(context.Background(), "alice", examples, short()); err != nil {
		log.Fatal(err)
	}
	return p, clean
}

func ExampleCreate() {
	dir, err := os.MkdirTemp("", "xpeft-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	p, err := sdk.Create(context.Background(), dir, config)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Labels(context.Background()))
	_, err = sdk.Create(context.Background(), dir, config)
	fmt.Println(errors.Is(err, sdk.ErrExists))
	// Output:
	// [urgent later] <nil>
	// true
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "xpeft-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	p, err := sdk.Create(context.Background(), dir, config)
	if err != nil {
		log.Fatal(err)
	}
	p.Close()

	p, err = sdk.Open(context.Background(), dir, nil) // the model's folder is in the store
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Labels(context.Background()))
	fmt.Println(p.Close(), p.Close())
	_, err = p.Predict(context.Background(), "alice", "hello", nil)
	fmt.Println(err == sdk.ErrClosed)
	// Output:
	// [urgent later] <nil>
	// <nil> <nil>
	// true
}

func ExampleFolder_Learn() {
	p, clean := newStore()
	defer clean()
	rep, err := p.Learn(context.Background(), "alice", examples, short())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("revision", rep.Revision, "installed", rep.Installed)
	fmt.Println("examples", rep.Examples, "bytes of masks", rep.MaskBytes)
	// Output:
	// revision 1 installed true
	// examples 10 bytes of masks 36
}

func ExampleFolder_LearnMany() {
	p, clean := newStore()
	defer clean()
	out, err := p.LearnMany(context.Background(), []sdk.LearnRequest{
		{Profile: "alice", Examples: examples},
		{Profile: "bob", Examples: examples[:6]},
		{Profile: "carol", Examples: []sdk.Example{{Text: "lunch at noon", Label: "food"}}},
	}, short())
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range out {
		if errors.Is(r.Err, sdk.ErrUnknownLabel) {
			fmt.Println("an unknown label")
			continue
		}
		fmt.Println(r.Report.Profile, r.Report.Revision, r.Report.Examples)
	}
	// Output:
	// alice 1 10
	// bob 1 6
	// an unknown label
}

func ExampleFolder_Predict() {
	p, clean := learned()
	defer clean()
	out, err := p.Predict(context.Background(), "alice", "our production database is down", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Label, out.Source, out.Revision)
	_, err = p.Predict(context.Background(), "bob", "hello", nil)
	fmt.Println(errors.Is(err, sdk.ErrProfileNotFound))
	out, err = p.Predict(context.Background(), "bob", "hello", &sdk.PredictOptions{Fallback: sdk.FallbackBase})
	fmt.Println(out.Source, err)
	// Output:
	// urgent profile 1
	// true
	// base <nil>
}

func ExampleFolder_PredictBatch() {
	p, clean := learned()
	defer clean()
	out, err := p.PredictBatch(context.Background(), []sdk.Request{
		{Profile: "alice", Text: "our production database is down"},
		{Profile: "bob", Text: "our production database is down"},
		{Profile: "bob", Text: "our production database is down", Fallback: sdk.FallbackBase},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range out {
		fmt.Printf("%s %q %q %v\n", o.Profile, o.Source, o.Label, errors.Is(o.Err, sdk.ErrProfileNotFound))
	}
	// Output:
	// alice "profile" "urgent" false
	// bob "" "" true
	// bob "base" "later" false
}

// Adapters are folded ahead of the users who are known to come.
func ExampleFolder_Prefetch() {
	p, clean := learned()
	defer clean()
	err := p.Prefetch(context.Background(), "alice", "nobody")
	fmt.Println(errors.Is(err, sdk.ErrProfileNotFound))
	st, err := p.Stats(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.Folds, st.Cache.Entries)
	// Output:
	// true
	// 1 1
}

func ExampleFolder_Export() {
	ctx := context.Background()
	p, clean := learned()
	defer clean()
	before, err := p.Predict(ctx, "alice", "see you at the party", nil)
	if err != nil {
		log.Fatal(err)
	}
	var bundle bytes.Buffer
	n, err := p.Export(ctx, &bundle, &sdk.ExportOptions{IDs: []string{"alice"}})
	fmt.Println(n, err)
	fmt.Println(p.Forget(ctx, "alice"))
	rep, err := p.Import(ctx, &bundle, nil)
	fmt.Println(rep.Profiles, err)
	after, err := p.Predict(ctx, "alice", "see you at the party", nil)
	fmt.Println(before.Probabilities[0] == after.Probabilities[0], err)
	// Output:
	// 1 <nil>
	// <nil>
	// 1 <nil>
	// true <nil>
}

func ExampleFolder_Forget() {
	ctx := context.Background()
	p, clean := learned()
	defer clean()
	fmt.Println(p.Forget(ctx, "alice"))
	_, err := p.Predict(ctx, "alice", "hello", nil)
	fmt.Println(errors.Is(err, sdk.ErrProfileNotFound))
	fmt.Println(errors.Is(p.Forget(ctx, "alice"), sdk.ErrProfileNotFound))
	// Output:
	// <nil>
	// true
	// true
}

func ExampleFolder_Profiles() {
	p, clean := learned()
	defer clean()
	for info, err := range p.Profiles(context.Background(), &sdk.ProfilesOptions{Prefix: "al"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.ID, info.Revision, info.Head, info.Labels, info.Examples, info.N, info.K, info.Blocks)
	}
	// Output:
	// alice 1 shared [urgent later] 10 24 8 6
}

func ExampleFolder_Stats() {
	ctx := context.Background()
	p, clean := learned()
	defer clean()
	before, err := p.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := p.Predict(ctx, "alice", "hello", nil); err != nil {
			log.Fatal(err)
		}
	}
	now, err := p.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	d := now.Sub(before)
	fmt.Println(d.Predictions, "predictions", d.Folds, "fold", d.Cache.Hits, "hits", now.Store.Profiles, "profile",
		now.Learns, "learned")
	// Output:
	// 3 predictions 1 fold 2 hits 1 profile 1 learned
}

func ExampleFolder_Check() {
	p, clean := learned()
	defer clean()
	rep, err := p.Check(context.Background(), &sdk.CheckOptions{Deep: true})
	fmt.Println(rep.Profiles, rep.Examples, len(rep.Problems), err)
	// Output:
	// 1 10 0 <nil>
}

func ExampleFolder_Backup() {
	ctx := context.Background()
	p, clean := learned()
	defer clean()
	dir, err := os.MkdirTemp("", "xpeft-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var full, changes bytes.Buffer          // files, in a program
	first, err := p.Backup(ctx, &full, nil) // p goes on meanwhile
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Observe(ctx, "alice", sdk.Example{Text: "the disk is full", Label: "urgent"}); err != nil {
		log.Fatal(err)
	}
	_, err = p.Backup(ctx, &changes, &sdk.BackupOptions{Since: first.Revision})
	if err != nil {
		log.Fatal(err)
	}

	rep, err := sdk.Restore(ctx, filepath.Join(dir, "restored"), nil, &full, &changes)
	fmt.Println(rep.Profiles, "profile", err)
	copied, err := sdk.Open(ctx, filepath.Join(dir, "restored"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer copied.Close()
	out, err := copied.Predict(ctx, "alice", "our production database is down", nil)
	fmt.Println(out.Label, out.Revision, err)
	// Output:
	// 1 profile <nil>
	// urgent 1 <nil>
}

func ExampleFolder_TrainHead() {
	ctx := context.Background()
	p, clean := learned()
	defer clean()
	rep, err := p.TrainHead(ctx, nil) // for the profiles and fallbacks to come
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rep.Profiles, "profile", rep.Examples+rep.HeldOut, "examples")
	// Output:
	// 1 profile 10 examples
}
