package digits_test

import (
	"context"
	"fmt"
	"log"

	"github.com/xpeft/xpeft/internal/digits"
)

// Twenty texts on two axes: the first says which of two labels a text has.
func ExampleLearn() {
	p := &digits.Person{A: 2, C: 2, Digits: 2}
	for i := range 20 {
		class, other := i%2, float32(i%5)/5
		p.P = append(p.P, float32(2*class-1), other)
		p.Base = append(p.Base, 0, 0)
		p.Class = append(p.Class, class)
	}
	res, err := digits.Learn(context.Background(), p, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("rows of labels %v: %04b\n", res.Labels, res.Rows)
	// Output: rows of labels [0 1]: [0000 1011]
}

func ExampleFitHead() {
	h := &digits.Head{C: 2, D: 1}
	for i := range 20 {
		h.X, h.Class = append(h.X, float32(2*(i%2)-1)), append(h.Class, i%2)
	}
	res, err := digits.FitHead(context.Background(), h, &digits.HeadOptions{Lambda: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f\n", res.W)
	// Output: [-1.3 1.3]
}
