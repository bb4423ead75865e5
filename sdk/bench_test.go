package sdk

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// thirtyWords is a message as people write them.
const thirtyWords = "hello everybody, the login page has been answering with an error since this morning and the " +
	"people in the support team " +
	"would like to know when somebody will have a look"

func benchSDK(b testing.TB) *Folder {
	p := create(b, Config{Model: golden.Model(b), Labels: labels})
	c := learner.Default()
	c.K, c.Epochs = 0, 1
	mustLearn(b, p, "alice", examples(6, 0), &LearnOptions{Config: &c})
	mustPredict(b, p, "alice", thirtyWords)
	return p
}

// BenchmarkPredict is one text of 30 words for a cached profile.
func BenchmarkPredict(b *testing.B) {
	p := benchSDK(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Predict(context.Background(), "alice", thirtyWords, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOverBare takes turns with the bare encoder's forward pass, without anything of this
// package, so that both meet the same machine. It reports their medians and the one over the other.
func BenchmarkOverBare(b *testing.B) {
	p := benchSDK(b)
	var e model.Encoding
	p.tokenizer.Encode(&e, thirtyWords, "", p.maxTokens)
	x := make([]float32, p.encoder.Hidden())
	calls := [2]func() error{
		func() error {
			_, err := p.Predict(context.Background(), "alice", thirtyWords, nil)
			return err
		},
		func() error {
			return p.encoder.Embed([]model.Encoding{e}, nil, nil, x, nil, nil)
		},
	}
	var took [2][]time.Duration
	for b.Loop() {
		for i, call := range calls {
			began := time.Now()
			if err := call(); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	median := func(ds []time.Duration) float64 {
		slices.Sort(ds)
		return float64(ds[len(ds)/2])
	}
	b.ReportMetric(median(took[0]), "profile-ns/p50")
	b.ReportMetric(median(took[1]), "bare-ns/p50")
	b.ReportMetric(median(took[0])/median(took[1]), "ratio")
}

// TestPredictAllocates bounds Go's heap of one Predict of a cached profile. An own head is read
// anew each time, twice its size.
func TestPredictAllocates(t *testing.T) {
	const most, n = 10_000, 50
	p := benchSDK(t)
	mustLearn(t, p, "own", examples(6, 0), own(1))
	mustLearn(t, p, "digits", examples(30, 0), &LearnOptions{Force: true})
	for _, c := range []struct {
		id   string
		most uint64
	}{{"alice", most}, {"digits", most}, {"own", most + 2*4*3*(4*384+1)}} {
		mustPredict(t, p, c.id, thirtyWords)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			mustPredict(t, p, c.id, thirtyWords)
		}
		runtime.ReadMemStats(&after)
		bytes, objects := (after.TotalAlloc-before.TotalAlloc)/n, (after.Mallocs-before.Mallocs)/n
		if t.Logf("%s: %d bytes in %d objects", c.id, bytes, objects); bytes >= c.most {
			t.Errorf("%s: got %d bytes in %d objects a Predict, want less than %d", c.id, bytes, objects, c.most)
		}
	}
}

// BenchmarkLearnOverMasks takes turns between a new profile of digits and one of masks with the
// default training, each of the same 40 texts, and reports their medians and the one over the
// other.
func BenchmarkLearnOverMasks(b *testing.B) {
	p := create(b, Config{Model: golden.Model(b), Labels: labels})
	masks := learner.Default()
	masks.K = 0
	taught := examples(40, 0)
	options := [2]*LearnOptions{nil, {Config: &masks}}
	var took [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		for i := range options {
			began := time.Now()
			mustLearn(b, p, fmt.Sprintf("user %d %d", n, i), taught, options[i])
			took[i] = append(took[i], time.Since(began))
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	digits, over := took[0][len(took[0])/2], took[1][len(took[1])/2]
	b.ReportMetric(digits.Seconds()*1e3, "ms/digits")
	b.ReportMetric(over.Seconds()*1e3, "ms/masks")
	b.ReportMetric(digits.Seconds()/over.Seconds(), "digits/masks")
}

// BenchmarkPredictBesideLearn takes turns between 100 Predicts alone and 100 beside profiles that
// learn one after another, of digits and of masks in the last block, and reports the 99th
// percentiles and the ones over that alone.
func BenchmarkPredictBesideLearn(b *testing.B) {
	p := create(b, Config{Model: golden.Model(b), Labels: labels})
	mustLearn(b, p, "alice", examples(6, 0), nil)
	masks := learner.LastBlocks()
	masks.K, masks.Top = 0, 1
	taught := examples(60, 0)
	names := []string{"alone", "digits", "masks"}
	options := []*LearnOptions{nil, nil, {Config: &masks}}
	took := make([][]time.Duration, len(names))
	for n := 0; b.Loop(); n++ {
		for i := range names {
			stop, over := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(over)
				for k := 0; i > 0; k++ {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := p.Learn(context.Background(), fmt.Sprint("user ", n, i, k), taught,
						options[i]); err != nil {
						b.Error(err)
						return
					}
				}
			}()
			for range 100 {
				began := time.Now()
				mustPredict(b, p, "alice", thirtyWords)
				took[i] = append(took[i], time.Since(began))
			}
			close(stop)
			<-over
		}
	}
	p99 := make([]float64, len(names))
	for i, name := range names {
		slices.Sort(took[i])
		p99[i] = float64(took[i][len(took[i])*99/100].Microseconds()) / 1e3
		b.ReportMetric(p99[i], "ms/"+name)
	}
	b.ReportMetric(p99[1]/p99[0], "digits/alone")
	b.ReportMetric(p99[2]/p99[0], "masks/alone")
}
