package axes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/model"
)

// ending is cancelled when it was asked often enough.
type ending struct {
	context.Context
	left int
}

func (c *ending) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestComputeOfEncoder: they are those of the states after the taps, the last of which is the mean
// that the encoder's own pass gives, and end with their context.
func TestComputeOfEncoder(t *testing.T) {
	ckpt, err := model.OpenCheckpoint("../../bank/testdata/adapterhub/encoder")
	must(t, err)
	enc, err := model.NewEncoder(ckpt)
	must(t, err)
	defer enc.Close()
	dir := t.TempDir()
	vocab := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + strings.Join(
		strings.Split("abcdefghijklmnopqrstuvwxyz.,", ""),
		"\n",
	)
	must(t, os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(vocab), 0o600))
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Taps: []int{1, 2}, Hidden: enc.Hidden(), Count: 8, Digits: 2,
		Words: strings.Fields("a b c d e f g"), Seed: 3}
	got, err := Compute(context.Background(), enc, tok, config)
	if err != nil {
		t.Fatal(err)
	}
	want, err := compute(context.Background(), config, func(_ context.Context, texts []string) ([]float32, error) {
		var all []float32
		for _, text := range texts { // one at a time
			var e model.Encoding
			tok.Encode(&e, text, "", enc.Config().MaxPositionEmbeddings)
			states := make([]float32, 2*enc.Hidden())
			if err := enc.Embed([]model.Encoding{e}, nil, nil, make([]float32, enc.Hidden()), config.Taps,
				states); err != nil {
				return nil, err
			}
			all = append(all, states...)
		}
		return all, nil
	})
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got other axes than of texts one by one (%v)", err)
	}
	ctx := &ending{Context: context.Background(), left: 40} // amid the texts
	if a, err := Compute(ctx, enc, tok, config); !errors.Is(err, context.Canceled) || a != nil || ctx.left != -1 {
		t.Errorf("cancelled: got %v, %v, asked %d times more", a, err, -1-ctx.left)
	}
	config.Taps = []int{1, 3}
	if a, err := Compute(context.Background(), enc, tok, config); err == nil || a != nil {
		t.Errorf("taps of a block that is not there: got %v, %v, want an error", a, err)
	}
}
