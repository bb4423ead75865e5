package learner_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// A profile's masks over a random bank in the encoder's last block, with a head of its own.
func ExampleLearn() {
	ctx, dir := context.Background(), os.Getenv("XPEFT_MODEL")
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
	b, err := bank.NewRandom(bank.Properties{Origin: bank.Random, N: 20, Blocks: 1, Hidden: enc.Hidden(),
		Bottleneck: 8, NormB: true, Seed: 1, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	job := learner.Job{Head: learner.NewHead([]string{"car", "kitchen"}, enc.Hidden(), false, 1)}
	for i, text := range []string{"My car broke down.", "I baked a cake.", "The engine failed.", "Soup for dinner."} {
		e := learner.Example{Class: i % 2}
		tok.Encode(&e.Text, text, "", 64)
		job.Train = append(job.Train, e)
	}
	c := learner.Default()
	c.K, c.Head, c.Bias = 5, true, false
	res, err := learner.Learn(ctx, learner.Env{Encoder: enc, Bank: b}, job, c)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Steps, "steps,", len(res.Mask.Bytes()), "bytes of masks")
	// Output: 10 steps, 6 bytes of masks
}
