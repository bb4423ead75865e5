//go:build linux

package population

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

// crowd is a population of many people with 50 answers each, of two labels, who differ on two axes;
// its texts are drawn at random.
func crowd(people, texts, d int) *Population {
	const answers, rank = 50, 2
	rng := rand.New(rand.NewPCG(uint64(people), 0x63726f7764))
	p := &Population{C: 2, D: d, Phi: make([]float32, texts*d)}
	for i := range p.Phi {
		p.Phi[i] = float32(rng.NormFloat64() / math.Sqrt(float64(d)))
	}
	rows := make([]float64, (1+rank)*d)
	for i := range rows {
		rows[i] = 3 * rng.NormFloat64()
	}
	says := make([]float64, texts*(1+rank)) // of each text and row, the logit of label 1 over that of 0
	for t := range texts {
		for i, v := range p.Phi[t*d : (t+1)*d] {
			for r := range 1 + rank {
				says[t*(1+rank)+r] += rows[r*d+i] * float64(v)
			}
		}
	}
	for range people {
		a := Answers{Text: make([]int32, answers), Class: make([]int32, answers)}
		z, b := [rank]float64{rng.NormFloat64(), rng.NormFloat64()}, 0.7*rng.NormFloat64()
		for i := range a.Text {
			t := rng.IntN(texts)
			row := says[t*(1+rank) : (t+1)*(1+rank)]
			if a.Text[i] = int32(t); rng.Float64() < 1/(1+math.Exp(-row[0]-z[0]*row[1]-z[1]*row[2]-b)) {
				a.Class[i] = 1
			}
		}
		p.People = append(p.People, a)
	}
	return p
}

// TestScale prints what many people cost in CPU time and memory, up to 10⁵ with 50 answers each to
// 10⁴ texts (XPEFT_LONG=1; otherwise a thousandth) for a fit of a few steps, and for all of a
// Train, whose choice is on a sample. φ and answers are made up. The long form bounds the exponent,
// and the bytes an answer at 10⁵.
func TestScale(t *testing.T) {
	sizes, texts, d := []int{10, 30, 100}, 100, 24
	long := os.Getenv("XPEFT_LONG") != ""
	if long {
		sizes, texts, d = []int{1_000, 10_000, 100_000}, 10_000, 768
	}
	train := func(o Options) func(*testing.T, *Population) {
		return func(t *testing.T, p *Population) {
			if _, _, err := Train(context.Background(), p, &o); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, f := range map[string]func(*testing.T, *Population){
		"few":   train(Options{Setting: &Setting{Rank: 2, Head: 1, Axis: 1}, Steps: 3}),
		"train": train(Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			var x, y []float64
			var most float64 // bytes an answer, of the largest
			for _, people := range sizes {
				p := crowd(people, texts, d)
				before, cpu := resetPeak(t), cpuTime(t)
				f(t, p)
				used, peak, answers := cpuTime(t)-cpu, peakRSS(t)-before, float64(50*people)
				t.Logf("people=%d answers=%.0f: %.1f s of CPU, peak %d MB over %d MB before: %.0f bytes an answer",
					people, answers, used.Seconds(), peak>>20, before>>20, float64(peak)/answers)
				x, y = append(x, math.Log(answers)), append(y, math.Log(used.Seconds()))
				most = float64(peak) / answers
				runtime.KeepAlive(p)
			}
			e := slope(x, y)
			if t.Logf("fitted exponent %.2f", e); long && (e > 1.2 || most > 64) {
				t.Errorf("got an exponent of %.2f and %.0f bytes an answer, want 1.2 and 64 at most", e, most)
			}
		})
	}
}

func slope(x, y []float64) float64 {
	mx, my, xy, xx := 0.0, 0.0, 0.0, 0.0
	for i := range x {
		mx, my = mx+x[i]/float64(len(x)), my+y[i]/float64(len(y))
	}
	for i := range x {
		xy, xx = xy+(x[i]-mx)*(y[i]-my), xx+(x[i]-mx)*(x[i]-mx)
	}
	return xy / xx
}

func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resetPeak makes the peak what is resident now, in bytes.
func resetPeak(t *testing.T) int64 {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600); err != nil {
		t.Skip(err)
	}
	return peakRSS(t)
}

func peakRSS(t *testing.T) (kb int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	if _, err := fmt.Sscanf(string(status[bytes.Index(status, []byte("VmHWM:")):]), "VmHWM: %d kB", &kb); err != nil {
		t.Skip(err)
	}
	return kb << 10
}
