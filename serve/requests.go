package serve

import (
	"fmt"
	"maps"
	"sync"
)

// Requests counts a tenant's requests by route and class of status: package metrics makes numbers
// for Prometheus of them. The zero value is ready to use, and is safe for concurrent use. Requests
// without a tenant's token are in nobody's.
type Requests struct {
	mu     sync.Mutex
	counts map[answeredAs]int64
}

// answeredAs is a route's pattern, so that no id is in it, and a class as 2xx.
type answeredAs struct{ route, status string }

func (q *Requests) add(route string, code int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.counts == nil {
		q.counts = map[answeredAs]int64{}
	}
	q.counts[answeredAs{route, fmt.Sprintf("%dxx", code/100)}]++
}

// All yields each route's pattern, as "POST /v1/profiles/{id}/predict", and class of status, as
// "2xx", with how many requests were answered so, in any order.
func (q *Requests) All(yield func(route, status string, n int64) bool) {
	q.mu.Lock()
	counts := maps.Clone(q.counts)
	q.mu.Unlock()
	for as, n := range counts {
		if !yield(as.route, as.status, n) {
			return
		}
	}
}
