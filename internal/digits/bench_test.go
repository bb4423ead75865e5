package digits

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkLearn is a person's whole Learn, folds and strengths included, over 192 axes.
func BenchmarkLearn(b *testing.B) {
	for _, size := range []struct{ n, C int }{{40, 3}, {512, 3}, {40, 30}, {512, 30}} {
		b.Run(fmt.Sprintf("texts=%d/labels=%d", size.n, size.C), func(b *testing.B) {
			p := randomPerson(1, size.n, 192, size.C)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Learn(context.Background(), p, &Options{Always: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFitHead is one fit at a given strength over four blocks' states.
func BenchmarkFitHead(b *testing.B) {
	h := randomHead(1, 2000, 1536, 5)
	for b.Loop() {
		res, err := FitHead(context.Background(), h, &HeadOptions{Lambda: 3})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(res.Steps), "steps/op")
	}
}
