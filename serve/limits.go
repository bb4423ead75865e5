package serve

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// Limits bound what one tenant asks for. A zero field means its default. What waits holds memory
// and a connection, and makes everybody who comes later wait longer; beyond a limit a caller is
// told at once to come back (429, Retry-After). Kinds of requests have limits of their own, so that
// Learns, which wait for each other, never keep Predicts out.
type Limits struct {
	// requests at once that ask the model; default 256: two cores answer so many in a second or two
	Predict int `json:"predict"`
	Learn   int `json:"learn"`  // that learn; default 16
	Write   int `json:"write"`  // that store or erase; default 64
	Read    int `json:"read"`   // that read; default 64
	Advise  int `json:"advise"` // that ask for advice, which takes all cores for seconds; default 1
	Events  int `json:"events"` // open streams of events; default 256
	// Rate is how many requests a second of one profile are taken, once Burst have come at once;
	// default 100. With math.Inf(1) there is no limit.
	Rate  float64 `json:"rate"`
	Burst int     `json:"burst"` // default: those of two seconds
}

// class is a kind of requests that share a limit.
type class int

const (
	predicts class = iota
	learns
	writes
	reads
	advises
	streams
	classes // how many there are
)

// within is how long requests of a class may take: a Learn also waits for those before it.
var within = [classes]time.Duration{predicts: 10 * time.Second, learns: 5 * time.Minute, writes: 30 * time.Second,
	reads: 30 * time.Second, advises: 5 * time.Minute}

func (l *Limits) setDefaults() (faults []string) {
	for _, v := range []struct {
		name     string
		field    *int
		fallback int
	}{{"Predict", &l.Predict, 256}, {"Learn", &l.Learn, 16}, {"Write", &l.Write, 64}, {"Read", &l.Read, 64},
		{"Advise", &l.Advise, 1}, {"Events", &l.Events, 256}} {
		if *v.field < 0 {
			faults = append(faults, fmt.Sprintf("Limits.%s is %d", v.name, *v.field))
		}
		if *v.field <= 0 {
			*v.field = v.fallback
		}
	}
	if l.Rate == 0 {
		l.Rate = 100
	}
	if !(l.Rate > 0) || l.Burst < 0 {
		faults = append(faults, fmt.Sprintf("Limits.Rate is %g, Limits.Burst %d", l.Rate, l.Burst))
	}
	if l.Burst == 0 {
		l.Burst = int(math.Ceil(min(2*l.Rate, math.MaxInt32)))
	}
	return faults
}

// slots are tokens of the requests that may be in the server at once.
func (l Limits) slots() (s [classes]chan struct{}) {
	for c, n := range map[class]int{predicts: l.Predict, learns: l.Learn, writes: l.Write, reads: l.Read,
		advises: l.Advise, streams: l.Events} {
		s[c] = make(chan struct{}, n)
	}
	return s
}

// buckets are token buckets of profiles in constant memory: ids are hashed to one bucket in each of
// two rows, and a profile is refused only if both are empty. So one that asks too much, and shares
// a bucket with another, does not keep the other out.
type buckets struct {
	rate, burst float64
	seeds       [2]maphash.Seed
	mu          sync.Mutex
	rows        [2][1 << 14]bucket
}

type bucket struct {
	taken float64 // of burst, at the time
	at    time.Time
}

func newBuckets(l Limits) *buckets {
	return &buckets{rate: l.Rate, burst: float64(l.Burst),
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// take is whether the profile may ask now.
func (b *buckets) take(profile string, now time.Time) bool {
	if math.IsInf(b.rate, 1) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ok := false
	for i := range b.rows {
		x := &b.rows[i][maphash.String(b.seeds[i], profile)%uint64(len(b.rows[i]))]
		x.taken = max(0, x.taken-b.rate*now.Sub(x.at).Seconds())
		x.at = now
		if x.taken+1 <= b.burst {
			x.taken++
			ok = true
		}
	}
	return ok
}
