package bert

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkCrew is how long one text takes on one thread and on more, in turn: the medians, and the
// ratio to one thread's. It sleeps between the passes, as who asks for one text does.
//
//	go test ./internal/bert -run '^$' -bench Crew -benchtime 40x
func BenchmarkCrew(b *testing.B) {
	models := everyPath(b, miniLM(b))[1:] // those in C
	for _, tokens := range []int{2, 4, 8, 12, 24, 40, 128} {
		b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
			batch, x := headlines(4), make([]float32, 384)
			batch.Lengths, batch.IDs, batch.Types = []int32{int32(tokens)}, batch.IDs[:tokens], batch.Types[:tokens]
			crews := []*Crew{nil, NewCrew(2), NewCrew(4)}
			took := make([][]time.Duration, len(models)*len(crews))
			for b.Loop() {
				for i := range took {
					m := models[i/len(crews)]
					m.Crew = crews[i%len(crews)]
					time.Sleep(20 * time.Millisecond)
					began := time.Now()
					m.Embed(batch, nil, Mean, x, nil, nil)
					took[i] = append(took[i], time.Since(began))
				}
			}
			for i, m := range models {
				one := float64(median(took[i*len(crews)]))
				b.ReportMetric(one/1e6, m.Kernel()+"-ms")
				for c := 1; c < len(crews); c++ {
					name := fmt.Sprintf("%s-by-%d", m.Kernel(), crews[c].threads)
					b.ReportMetric(float64(median(took[i*len(crews)+c]))/one, name)
				}
			}
		})
	}
}

func median(v []time.Duration) time.Duration {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkCrewClients is how long 8 clients wait for their texts of 40 tokens on two lanes, with
// helpers where a lane is idle and without, in turn.
//
//	go test ./internal/bert -run '^$' -bench CrewClients -benchtime 10x
func BenchmarkCrewClients(b *testing.B) {
	m, crew, took := everyPath(b, miniLM(b))[1], NewCrew(2), [2][]time.Duration{}
	batch := headlines(2)
	batch.Lengths, batch.IDs, batch.Types = []int32{40}, batch.IDs[:40], batch.Types[:40]
	for b.Loop() {
		for i, c := range []*Crew{nil, crew} {
			m.Crew = c
			lanes, waits, all := make(chan struct{}, 2), make(chan time.Duration, 8*8), sync.WaitGroup{}
			for range 8 {
				all.Add(1)
				go func() {
					defer all.Done()
					x := make([]float32, 384)
					for range 8 {
						began := time.Now()
						lanes <- struct{}{}
						m.Embed(batch, nil, Mean, x, nil, nil)
						<-lanes
						waits <- time.Since(began)
					}
				}()
			}
			all.Wait()
			close(waits)
			for w := range waits {
				took[i] = append(took[i], w)
			}
		}
	}
	for i, name := range []string{"alone", "with-helpers"} {
		b.ReportMetric(float64(median(took[i]))/1e6, name+"-p50-ms")
		b.ReportMetric(float64(took[i][len(took[i])*99/100])/1e6, name+"-p99-ms")
	}
}
