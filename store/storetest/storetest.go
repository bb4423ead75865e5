// Package storetest opens stores for tests, and checks them when these end.
package storetest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// Meta is what Open binds its stores to.
var Meta = store.Meta{
	Model: "model", Encoder: store.Digest{1}, Tokenizer: store.Digest{2}, MaxTokens: 128,
}

// Open makes an empty store in a folder of the test, without fsync unless
// options are given. At the end of the test it closes the store, opens it
// again and fails the test if Check finds anything.
func Open(t testing.TB, o *store.Options) *store.Store {
	t.Helper()
	if o == nil {
		o = &store.Options{NoSync: true}
	}
	s, err := store.Create(filepath.Join(t.TempDir(), "xpeft.db"), Meta, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, s) })
	return s
}

func check(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s, err := store.Open(s.Path(), &store.Options{ReadOnly: true})
	if err != nil {
		t.Errorf("open to check: %v", err)
		return
	}
	defer s.Close()
	report, err := s.Check(context.Background(), true)
	if err != nil {
		t.Errorf("check: %v", err)
		for _, p := range report.Problems {
			t.Log(p)
		}
	}
}
