package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

// newStore makes a store with a bank of N=8 L=1 and a profile "ann".
func newStore(dir, name string) (*store.Store, error) {
	ctx := context.Background()
	s, err := store.Create(filepath.Join(dir, name), store.Meta{Encoder: store.Digest{1}, Tokenizer: store.Digest{2}},
		nil)
	if err != nil {
		return nil, err
	}
	bank, err := s.PutBank(ctx, store.BankInfo{Digest: store.Digest{3}, N: 8, Blocks: 1})
	if err != nil {
		return nil, err
	}
	mask, err := bitmask.New(8, 2, 1)
	if err != nil {
		return nil, err
	}
	logits := []float32{0, 3, 0, 0, 2, 0, 0, 0}
	err = errors.Join(bitmask.TopK(logits, 2, mask.Row(bitmask.Down, 0)),
		bitmask.TopK(logits, 2, mask.Row(bitmask.Up, 0)))
	if err != nil {
		return nil, err
	}
	_, err = s.Put(ctx, &store.Profile{ID: "ann", Bank: bank, Mask: mask}, store.Write{
		Append: []store.Example{{Text: "call me back", Label: "urgent"}},
	})
	return s, err
}

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := newStore(dir, "xpeft.db")
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	p, err := s.Get("ann")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.ID, p.Revision, p.Mask.Indices(bitmask.Up, 0, nil))
	_, err = s.Get("bob")
	fmt.Println(errors.Is(err, store.ErrNotFound))
	// Output:
	// ann 1 [1 4]
	// true
}

func ExampleStore_Put_compareAndSet() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := newStore(dir, "xpeft.db")
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	p, err := s.Get("ann")
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // the second time the profile is newer than p
		rev, err := s.Put(context.Background(), p, store.Write{IfRevision: &p.Revision})
		fmt.Println(rev, errors.Is(err, store.ErrConflict))
	}
	// Output:
	// 2 false
	// 0 true
}

func ExampleStore_Import() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	from, err := newStore(dir, "from.db")
	if err != nil {
		log.Fatal(err)
	}
	defer from.Close()
	to, err := newStore(dir, "to.db")
	if err != nil {
		log.Fatal(err)
	}
	defer to.Close()

	var bundle bytes.Buffer
	if _, err := from.Export(ctx, &bundle, store.ExportOptions{Examples: true}); err != nil {
		log.Fatal(err)
	}
	report, err := to.Import(ctx, &bundle, store.ImportOptions{Policy: store.Rename})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Profiles, report.Renamed["ann"])
	for p, err := range to.Profiles("") {
		fmt.Println(p.ID, err)
	}
	// Output:
	// 1 ann-2
	// ann <nil>
	// ann-2 <nil>
}
