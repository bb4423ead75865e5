//go:build cgo

package bank

import (
	"context"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/torchtest"
	"github.com/xpeft/xpeft/model"
)

// TestPooledStates: with and without the kernels the states are the same but for rounding.
func TestPooledStates(t *testing.T) {
	dir, ctx := golden.Model(t), context.Background()
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	engine := torchtest.Open(t)
	enc, err := model.NewEncoder(ctx, engine, c)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	texts := make([]model.Encoding, 5)
	for i, text := range randomStrings(tok.Words(), 1)[:len(texts)] {
		tok.Encode(&texts[i], text, "", 5+i)
	}
	taps := DefaultAxes(enc.Blocks(), enc.Hidden()).Taps
	want, err := batchStates(ctx, engine, enc, texts, tok.PadID(), taps)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pooledStates(ctx, engine, enc, texts, tok.PadID(), taps)
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "states", got, want, 1e-5, 1e-4)
}
