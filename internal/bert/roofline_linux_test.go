//go:build cgo && amd64

package bert

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkRoofline prints what each part of a pass of 64 texts of 32 tokens does, beside what one
// core can do: medians of the passes of each path, in turn.
//
//	go test ./internal/bert -run '^$' -bench Roofline -benchtime 15x
func BenchmarkRoofline(b *testing.B) {
	w, batch := miniLM(b), headlines(64)
	type measured struct {
		*Model
		passes [][]part
		peaks  []time.Duration
	}
	var all []*measured
	for _, m := range everyPath(b, w)[1:] { // those in C
		all = append(all, &measured{Model: m})
	}
	const times = 1e6
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		for _, m := range all {
			p := m.path.(*cPath)
			m.passes = append(m.passes, p.profile(m.Model, batch))
			from := cpuTime(b)
			p.peak(times)
			m.peaks = append(m.peaks, cpuTime(b)-from)
		}
	}
	for _, m := range all {
		peak := times * 24 * float64(m.path.(*cPath).products()) / float64(median(m.peaks))
		table(m.Kernel(), m.passes, peak)
	}
}

func table(kernel string, passes [][]part, peak float64) {
	var t strings.Builder
	fmt.Fprintf(&t, "\n%s: one core can do %.0f GOP/s\n\n| part | share | ms | GOP | GOP/s | "+
		"of what the core can do |\n|---|---|---|---|---|---|\n", kernel, peak)
	total, flops := 0., 0.
	parts := slices.Clone(passes[0])
	for i := range parts {
		var took []time.Duration
		for _, p := range passes {
			took = append(took, p[i].took)
		}
		parts[i].took = median(took)
		total, flops = total+float64(parts[i].took), flops+parts[i].flops
	}
	for _, p := range append(parts, part{"all", flops, time.Duration(total)}) {
		ns := float64(p.took)
		fmt.Fprintf(&t, "| %s | %.1f %% | %.1f | ", p.name, 100*ns/total, ns/1e6)
		if p.flops > 0 {
			fmt.Fprintf(&t, "%.2f | %.0f | %.0f %% |\n", p.flops/1e9, p.flops/ns, 100*p.flops/ns/peak)
		} else {
			fmt.Fprintf(&t, "| | |\n")
		}
	}
	fmt.Println(t.String())
}
