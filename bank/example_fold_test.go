package bank_test

import (
	"fmt"
	"log"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
)

// A profile's masks choose adapters of the bank; their average is the profile's adapter.
func ExampleBank_Fold() {
	b, err := bank.NewRandom(bank.Properties{
		Origin: bank.Random, N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true,
		Seed: 42, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	mask, err := bitmask.New(150, 50, 6)
	if err != nil {
		log.Fatal(err)
	}
	for _, side := range []bank.Side{bank.Down, bank.Up} {
		for block := range 6 {
			for i := range 50 {
				mask.Row(side, block).Set(3 * i)
			}
		}
	}
	a, err := b.Fold(mask, nil) // for model.Encoder.Embed
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(mask.Bytes()), "bytes of masks,", b.Properties().FoldedBytes(), "bytes folded,", a.Blocks, "blocks")
	// Output: 228 bytes of masks, 443520 bytes folded, 6 blocks
}
