package fleet

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// counts only grow, but for the samples.
type counts struct {
	messages, refused, dropped, repeated, published, learned, returned atomic.Int64

	mu      sync.Mutex
	samples [1024]time.Duration // of how long values took to get here, the newest
	taken   int
}

// took notes how long a value took from the servers into the folder.
func (c *counts) took(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples[c.taken%len(c.samples)] = d
	c.taken++
}

// Stats of a node.
type Stats struct {
	// Age is how old the node's knowledge of the fleet may be, of the partition where it is oldest.
	Age time.Duration `json:"age"`
	// P50 and P99 are how long the last 1,024 values took from the servers into the folder. Clocks
	// that differ add to it.
	P50       time.Duration `json:"p50"`
	P99       time.Duration `json:"p99"`
	Values    int64         `json:"values"`    // taken into the folder
	Messages  int64         `json:"messages"`  // of the watch: values, and the nodes' beats
	Published int64         `json:"published"` // operations that the fleet has of this node
	Learned   int64         `json:"learned"`   // trainings
	Dropped   int64         `json:"dropped"`   // operations of people who were forgotten meanwhile
	Repeated  int64         `json:"repeated"`  // operations that came a second time
	Refused   int64         `json:"refused"`   // values and operations that were damaged or of a newer version
	// Returned counts people who had been forgotten, or whose key was destroyed, and whom servers
	// knew again or still: this node did not serve them, and had them forgotten once more.
	Returned int64    `json:"returned"`
	Queued   int      `json:"queued"`  // operations that the fleet may not have
	Waiting  int      `json:"waiting"` // operations of this node that no value has, those included
	Nodes    []string `json:"nodes"`   // that have spoken within MaxStale
}

// Stats takes a snapshot.
func (n *Node) Stats() Stats {
	s := Stats{Messages: n.counts.messages.Load(), Refused: n.counts.refused.Load(),
		Dropped: n.counts.dropped.Load(), Published: n.counts.published.Load(), Learned: n.counts.learned.Load()}
	s.Repeated, s.Returned = n.counts.repeated.Load(), n.counts.returned.Load()
	s.Waiting, s.Queued = n.state.counts()
	live := map[string]bool{}
	for _, p := range n.parts {
		s.Age = max(s.Age, p.age())
		p.mu.Lock()
		for name, o := range p.others {
			if p.now.Sub(o.at) < n.config.MaxStale {
				live[name] = true
			}
		}
		p.mu.Unlock()
	}
	for name := range live {
		s.Nodes = append(s.Nodes, name)
	}
	slices.Sort(s.Nodes)
	n.counts.mu.Lock()
	s.Values = int64(n.counts.taken)
	samples := slices.Clone(n.counts.samples[:min(n.counts.taken, len(n.counts.samples))])
	n.counts.mu.Unlock()
	if slices.Sort(samples); len(samples) > 0 {
		s.P50, s.P99 = samples[len(samples)/2], samples[len(samples)*99/100]
	}
	return s
}
