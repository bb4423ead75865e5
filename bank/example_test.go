package bank_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/bank"
)

// A random bank is its properties: any adapter is made when it is needed.
func ExampleProperties_Generate() {
	p := bank.Properties{
		Origin: bank.Random, N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true,
		Seed: 42, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB,
	}
	digest, err := p.Digest()
	if err != nil {
		log.Fatal(err)
	}
	down := make([]float32, p.Elems())
	if err := p.Generate(bank.Down, 5, 149, down); err != nil {
		log.Fatal(err)
	}
	fmt.Println(digest)
	fmt.Println(len(down), down[:2])
	// Output:
	// 49fcaaf13d696f361fb3b843ff0411836a5de4e6084585f71a4e440b8e1851fb
	// 9216 [0.04745783 -0.025192797]
}

// A warm bank is written once, under its digest, and mapped from then on.
func ExampleSave() {
	dir, err := os.MkdirTemp("", "banks")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	p := bank.Properties{Origin: bank.Warm, N: 2, Blocks: 1, Hidden: 4, Bottleneck: 1, NormB: true}
	trained := func(side bank.Side, block, adapter int) (weights, bias []float32, err error) {
		return []float32{1, 2, 3, float32(adapter)}, nil, nil
	}
	digest, err := bank.Save(ctx, dir, p, nil, trained)
	if err != nil {
		log.Fatal(err)
	}
	f, err := bank.OpenFile(filepath.Join(dir, digest.String()))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	weights, _, err := f.Row(bank.Up, 0, 1)
	fmt.Println(weights, err)
	fmt.Println("intact:", f.Verify(ctx) == nil)
	// Output:
	// [1 2 3 1] <nil>
	// intact: true
}
