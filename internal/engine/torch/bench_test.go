//go:build torch && cgo

package torch

import (
	"context"
	"fmt"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// BenchmarkGradient is a step of training adapters in all blocks of MiniLM-L6, by a profile and by
// eight at once.
func BenchmarkGradient(b *testing.B) {
	enc := minilm(b)
	texts := goldenTexts(golden.Open(b, "forward.safetensors"))
	for _, owners := range []int{1, 8} {
		b.Run(fmt.Sprintf("profiles=%d", owners), func(b *testing.B) {
			e := open(b, enc, false)
			r := engine.Rows{}
			var as []*model.Adapter
			for o := range owners {
				as = append(as, kinds[0].adapter(uint64(o), enc.Blocks(), enc.Hidden(), 16))
				for i := range 16 {
					r.Texts, r.Owner = append(r.Texts, texts[(o+i)%len(texts)]), append(r.Owner, o)
				}
			}
			var err error
			if r.Stems, err = e.Stems(context.Background(), r.Texts, 0, nil, nil); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := e.Gradient(context.Background(), r, as, nil, toTarget); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEmbed is a pass of a large batch, each text under one of 64 adapters in the last block.
func BenchmarkEmbed(b *testing.B) {
	enc := minilm(b)
	texts := goldenTexts(golden.Open(b, "forward.safetensors"))
	var as []*model.Adapter
	for o := range 64 {
		as = append(as, kinds[0].adapter(uint64(o), 1, enc.Hidden(), 16))
	}
	for _, rows := range []int{1, 16, 64, 1024} {
		for _, card := range []bool{false, true} {
			b.Run(fmt.Sprintf("rows=%d/libtorch=%t", rows, card), func(b *testing.B) {
				e := open(b, enc, card)
				r := engine.Rows{From: enc.Blocks() - 1}
				for i := range rows {
					r.Texts, r.Owner = append(r.Texts, texts[i%len(texts)]), append(r.Owner, i%64)
				}
				x := make([]float32, rows*enc.Hidden())
				for b.Loop() {
					if !card && e.Device() == "cuda" { // the CPU beside it
						if err := e.native.Embed(context.Background(), r, as, x, nil, nil); err != nil {
							b.Fatal(err)
						}
					} else if err := e.Embed(context.Background(), r, as, x, nil, nil); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "texts/s")
			})
		}
	}
}
