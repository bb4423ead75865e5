package storetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/xpeft/xpeft/store"
	"github.com/xpeft/xpeft/store/storetest"
)

func TestOpen(t *testing.T) {
	s := storetest.Open(t, nil)
	if got := s.Meta().Encoder; got != storetest.Meta.Encoder {
		t.Errorf("got encoder %v, want %v", got, storetest.Meta.Encoder)
	}
	if _, err := s.Get("nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := s.PutMeta(context.Background(), "k", []byte("v")); err != nil {
		t.Error(err)
	}
}
