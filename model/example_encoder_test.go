package model_test

import (
	"fmt"
	"log"
	"os"

	"github.com/xpeft/xpeft/model"
)

// Three texts in one batch; the first two mean nearly the same.
func ExampleEncoder_Embed() {
	dir := os.Getenv("XPEFT_MODEL")
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		log.Fatal(err)
	}
	ckpt, err := model.OpenCheckpoint(dir)
	if err != nil {
		log.Fatal(err)
	}
	enc, err := model.NewEncoder(ckpt)
	if err != nil {
		log.Fatal(err)
	}
	defer enc.Close()

	texts := make([]model.Encoding, 3)
	for i, text := range []string{"My car broke down.", "The engine of my car failed.", "I baked a cake."} {
		tok.Encode(&texts[i], text, "", 128)
	}
	x := make([]float32, len(texts)*enc.Hidden())
	if err := enc.Embed(texts, nil, nil, x, nil, nil); err != nil {
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
