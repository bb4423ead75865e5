package bitmask_test

import (
	"fmt"
	"log"

	"github.com/xpeft/xpeft/bitmask"
)

func Example() {
	m, err := bitmask.New(10, 3, 1) // 10 adapters, 3 of them, 1 block
	if err != nil {
		log.Fatal(err)
	}
	logits := []float32{0, 5, 1, 1, 1, 4, 0, 0, 0, 0}
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		if err := bitmask.TopK(logits, m.K, m.Row(side, 0)); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(m.Indices(bitmask.Down, 0, nil)) // adapter 2 wins the tie
	fmt.Printf("%x\n", m.Bytes())
	// Output:
	// [1 2 5]
	// 26002600
}

func ExampleDecode() {
	m, err := bitmask.Decode(10, 3, 1, []byte{0x26, 0, 0x07, 0})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Indices(bitmask.Down, 0, nil), m.Indices(bitmask.Up, 0, nil))
	_, err = bitmask.Decode(10, 3, 1, []byte{0x26, 0, 0x0f, 0})
	fmt.Println(err)
	// Output:
	// [1 2 5] [0 1 2]
	// bitmask: corrupt mask: 4 ones in row up 0, want 3
}
