package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkGetTold is Get, and the token of so many examples.
func BenchmarkGetTold(b *testing.B) {
	for _, n := range []int{0, 40, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newStore(b, fast)
			var es []Example
			for i := range n {
				es = append(es, Example{Text: fmt.Sprintf("a message of some thirty words that somebody files under one of a few labels, as people do with what they get from others all day long, number %d", i), Label: "later"})
			}
			if _, err := s.Put(ctx, randomProfile(rand.New(rand.NewPCG(1, 2)), "ann"), Write{Append: es}); err != nil {
				b.Fatal(err)
			}
			_, told, err := s.GetTold("ann", ExamplesToken{})
			if err != nil {
				b.Fatal(err)
			}
			told.Token.transaction-- // as if there had been a write
			b.ReportAllocs()
			for b.Loop() {
				if _, again, err := s.GetTold("ann", told.Token); err != nil || again.Known != (n > 0) {
					b.Fatal(err, again)
				}
			}
		})
	}
}
