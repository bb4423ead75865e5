//go:build cgo

package model_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Three texts in one batch; the first two mean nearly the same.
func ExampleEncoder_Embed() {
	dir, ctx := os.Getenv("XPEFT_MODEL"), context.Background()
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		log.Fatal(err)
	}
	ckpt, err := model.OpenCheckpoint(dir)
	if err != nil {
		log.Fatal(err)
	}
	engine, err := torch.Open(torch.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	enc, err := model.NewEncoder(ctx, engine, ckpt)
	if err != nil {
		log.Fatal(err)
	}
	defer enc.Close()

	texts := make([]model.Encoding, 3)
	for i, text := range []string{"My car broke down.", "The engine of my car failed.", "I baked a cake."} {
		tok.Encode(&texts[i], text, "", 128)
	}
	batch, err := model.NewBatch(texts, tok.PadID())
	if err != nil {
		log.Fatal(err)
	}
	x := make([]float32, len(texts)*enc.Hidden())
	err = engine.Do(ctx, func(s *torch.Scope) error {
		return s.ReadFloat32s(enc.Embed(s, batch, nil), x)
	})
	if err != nil {
		log.Fatal(err)
	}
	dot := func(i, j int) (sum float32) {
		for k := range enc.Hidden() {
			sum += x[i*enc.Hidden()+k] * x[j*enc.Hidden()+k]
		}
		return sum
	}
	fmt.Println("the first two are nearer:", dot(0, 1) > dot(0, 2))
	// Output:
	// the first two are nearer: true
}
