package native

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/enginetest"
	"github.com/xpeft/xpeft/model"
)

// TestThreadsCancelled: passes that share threads end although their context does, and the next
// ones give the same bits as on one thread each.
func TestThreadsCancelled(t *testing.T) {
	enc, lone := enginetest.Encoder(t, model.PoolMean), enginetest.Encoder(t, model.PoolMean)
	enc.UseThreads(4)
	text := model.Encoding{IDs: make([]int32, 8), TypeIDs: make([]int32, 8)}
	rows := engine.Rows{Texts: slices.Repeat([]model.Encoding{text}, 100)}
	x, want := make([]float32, 100*enc.Hidden()), make([]float32, 100*enc.Hidden())
	if err := New(lone).Embed(context.Background(), rows, nil, want, nil, nil); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		if err := New(enc).Embed(ctx, rows, nil, x, nil, nil); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		done := enc.Busy()
		if err := New(enc).Embed(context.Background(), engine.Rows{Texts: rows.Texts[:1]}, nil, x[:enc.Hidden()], nil,
			nil); err != nil || !slices.Equal(x[:enc.Hidden()], want[:enc.Hidden()]) {
			t.Fatalf("while busy: got %v, or another vector", err)
		}
		done()
	}
	if err := New(enc).Embed(context.Background(), rows, nil, x, nil, nil); err != nil || !slices.Equal(x, want) {
		t.Errorf("got %v, or other vectors than on one thread", err)
	}
}
