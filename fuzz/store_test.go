package fuzz

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// storeMeta is what openStore binds its stores to.
var storeMeta = store.Meta{
	Model: "model", Encoder: store.Digest{1}, Tokenizer: store.Digest{2}, MaxTokens: 128,
}

// openStore makes an empty store in a folder of the test, without fsync. At the end of
// the test it closes the store, opens it again and fails the test if Check finds anything.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Create(filepath.Join(t.TempDir(), "xpeft.db"), storeMeta, &store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkStore(t, s) })
	return s
}

func checkStore(t testing.TB, s *store.Store) {
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

func TestOpenStore(t *testing.T) {
	s := openStore(t)
	if got := s.Meta().Encoder; got != storeMeta.Encoder {
		t.Errorf("got encoder %v, want %v", got, storeMeta.Encoder)
	}
	if _, err := s.Get("nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := s.PutMeta(context.Background(), "k", []byte("v")); err != nil {
		t.Error(err)
	}
}
