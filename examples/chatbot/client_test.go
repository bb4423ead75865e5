package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

const (
	clients = 64
	steady  = 4  // profiles that are never forgotten
	owners  = 16 // one in so many clients has a profile of its own, and is of those who wait for Learns
	passing = 4  // profiles that anybody teaches and forgets
)

// crowd is many clients of one server, and what they were told. Each request is on a connection of
// its own: an idle one may be closed under a request that has not reached the server yet.
type crowd struct {
	t        *testing.T
	backend  *backend
	client   *http.Client
	stop     atomic.Bool // clients end after the answer that they wait for
	signal   atomic.Bool // SIGTERM was sent: from now on a connection may be refused
	answered atomic.Int64
	refused  atomic.Int64
	wrong    atomic.Int64
	// steady profiles have all examples that are kept: on a busy machine a Learn may wait for
	// theirs until it is too late
	full bool

	mu        sync.Mutex
	codes     map[string]int                  // "predict 200" → answers
	answers   map[[3]string][]sdk.Probability // of steady profiles: id, text, revision → probabilities
	revisions map[string]uint64               // of steady profiles: the last that a Learn reported
	forgotten [passing]atomic.Bool            // a Forget of it was sent
	own       [clients]ownership
}

// ownership is what a client knows of the profile that is its own.
type ownership struct{ exists, unsure bool }

func newCrowd(t *testing.T, url string) *crowd {
	return &crowd{t: t, backend: &backend{url: url},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		codes:  map[string]int{}, answers: map[[3]string][]sdk.Probability{}, revisions: map[string]uint64{}}
}

// call is one request. Its code is 0 if the server took no connection any more; anything else
// without an answer is a request lost.
func (c *crowd) call(verb, id string, body, v any, want ...int) int {
	method, path := "POST", "/v1/profiles/"+id+"/"+verb
	switch verb {
	case "forget":
		method, path = "DELETE", "/v1/profiles/"+id
	case "stats":
		method, path = "GET", "/v1/stats"
	}
	code, err := c.backend.call(c.client, method, path, body, v)
	if err != nil {
		if c.signal.Load() {
			c.refused.Add(1)
		} else {
			c.fault("%s %s: lost: %v", verb, id, err)
		}
		return 0
	}
	c.answered.Add(1)
	c.mu.Lock()
	c.codes[fmt.Sprintf("%s %d", verb, code)]++
	c.mu.Unlock()
	allowed := code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable && c.signal.Load() ||
		slices.Contains(want, code)
	if !allowed {
		c.fault("%s %s: got %d, want one of %v", verb, id, code, want)
	}
	return code
}

func (c *crowd) fault(format string, args ...any) {
	if c.wrong.Add(1) <= 20 {
		c.t.Errorf(format, args...)
	}
}

// play runs all clients until stop, or until the server takes no connection.
func (c *crowd) play(seed uint64) (wait func()) {
	var all sync.WaitGroup
	for i := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for !c.stop.Load() && c.step(i, r) {
			}
		}()
	}
	return all.Wait
}

// step is one request: of sixteen clients one has a profile of its own, which it teaches, asks and
// forgets; the others ask all profiles and observe.
func (c *crowd) step(i int, r *rand.Rand) (goOn bool) {
	dice, text := r.IntN(100), texts[r.IntN(len(texts))]
	if i%owners == 0 && dice < 50 {
		return c.stepOwn(i, r, text)
	}
	j := r.IntN(passing)
	id := fmt.Sprintf("passing-%d", j)
	switch {
	case dice < 60:
		return c.predict(fmt.Sprintf("steady-%d", r.IntN(steady)), text, 200) != 0
	case dice < 90:
		code := c.predict(id, text, 200, 404)
		// asked after the answer: a Forget may come between the question and it
		if code == 404 && !c.forgotten[j].Load() {
			c.fault("predict %s: got 404, want 200: nobody has forgotten it", id)
		}
		return code != 0
	case dice < 91:
		return c.call("observe", id, taught{Examples: []sdk.Example{example(r)}}, nil, 202, 404, 409) != 0 // others forget it meanwhile
	case dice < 92:
		return c.call("observe", fmt.Sprintf("steady-%d", r.IntN(steady)), taught{Examples: []sdk.Example{example(r)}}, nil, 202) != 0
	case dice < 94 && i%8 == 1:
		c.forgotten[j].Store(true)
		return c.call("forget", id, nil, nil, 204, 404) != 0
	case dice < 96 && i%owners == 0:
		return c.learn(fmt.Sprintf("steady-%d", r.IntN(steady)), r) != 0
	}
	return c.predict(fmt.Sprintf("steady-%d", r.IntN(steady)), text, 200) != 0
}

// stepOwn is a request about a profile that nobody else touches: what there must be is known
// exactly.
func (c *crowd) stepOwn(i int, r *rand.Rand, text string) bool {
	id, own, code := fmt.Sprintf("own-%d", i), &c.own[i], 0
	there := 404
	if own.exists {
		there = 200
	}
	own.unsure = true
	switch dice := r.IntN(100); {
	case dice < 60:
		code = c.predict(id, text, there)
	case dice < 85:
		if code = c.call("observe", id, taught{Examples: []sdk.Example{example(r)}}, nil, 202); code == http.StatusAccepted {
			own.exists = true
		}
	case dice < 90:
		if code = c.learn(id, r); code == 200 {
			own.exists = true
		}
	default:
		want := 404
		if own.exists {
			want = 204
		}
		if code = c.call("forget", id, nil, nil, want); code == want {
			own.exists = false
		}
	}
	// then it may or may not have happened
	own.unsure = code == 0 || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout
	return code != 0
}

func example(r *rand.Rand) sdk.Example {
	return sdk.Example{Text: fmt.Sprintf("%s (%d)", texts[r.IntN(len(texts))], r.IntN(200)),
		Label: labels[r.IntN(len(labels))]}
}

func (c *crowd) learn(id string, r *rand.Rand) int {
	var l taught
	for range 4 {
		l.Examples = append(l.Examples, example(r))
	}
	var rep sdk.Report
	want := []int{200}
	if c.full {
		want = append(want, 504)
	}
	code := c.call("learn", id, l, &rep, want...)
	if code != 200 {
		return code
	}
	if rep.Revision == 0 || rep.Bytes == 0 {
		c.fault("learn %s: got %+v, want a revision", id, rep)
	}
	if strings.HasPrefix(id, "steady-") {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.revisions[id] = max(c.revisions[id], rep.Revision)
	}
	return code
}

// predict checks that an answer is whole, of the profile that was asked for, and, for a steady one,
// that a revision always gives the same.
func (c *crowd) predict(id, text string, want ...int) int {
	var p sdk.Prediction
	code := c.call("predict", id, asked{Text: text}, &p, want...)
	if code != 200 {
		return code
	}
	sum := float32(0)
	for _, l := range labels {
		sum += probability(p, l)
	}
	if p.Profile != id || p.Source != "profile" && p.Source != "taught" || p.Revision == 0 ||
		!slices.Contains(labels, p.Label) || len(p.Probabilities) != len(labels) || math.Abs(float64(sum-1)) > 1e-5 {
		c.fault("predict %s: got %+v, want a whole answer of that profile", id, p)
	}
	if !strings.HasPrefix(id, "steady-") {
		return code
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [3]string{id, text, fmt.Sprint(p.Revision)}
	first, ok := c.answers[key]
	if !ok {
		c.answers[key] = p.Probabilities
	}
	for _, q := range first {
		if math.Abs(float64(q.P-probability(p, q.Label))) > 1e-5 {
			c.fault("%v: got %v and %v, want one answer", key, p.Probabilities, first)
		}
	}
	return code
}

// probability that an answer gives a label; 0 of one that it does not have.
func probability(p sdk.Prediction, label string) float32 {
	for _, q := range p.Probabilities {
		if q.Label == label {
			return q.P
		}
	}
	return 0
}
