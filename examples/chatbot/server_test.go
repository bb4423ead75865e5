package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/serve"
)

var (
	labels = []string{"urgent", "later", "ignore"}
	texts  = []string{"login fails for everybody", "a voucher only for you", "please review my change"}
)

// The bodies of requests.
type (
	taught struct {
		Examples []sdk.Example `json:"examples"`
		Force    bool          `json:"force,omitempty"`
	}
	asked struct {
		Text string `json:"text"`
	}
)

// unlimited is for clients that are many and quick for one profile each.
var unlimited = serve.Limits{Rate: math.Inf(1)}

func open(t *testing.T, dir string) *sdk.Folder {
	t.Helper()
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	p, err := openOrCreate(t.Context(), dir, sdk.Config{Model: model, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// backend is a server on a real socket.
type backend struct {
	url  string
	stop context.CancelFunc
	done chan error // Run's
}

// start serves the folder; reached, if it is not nil, counts the requests.
func start(t *testing.T, p *sdk.Folder, reached *atomic.Int64) *backend {
	t.Helper()
	s, err := serve.New([]serve.Tenant{{Folder: p, Limits: unlimited}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reached != nil {
			reached.Add(1)
		}
		s.ServeHTTP(w, r)
	})
	ctx, stop := context.WithCancel(context.Background())
	b := &backend{url: "http://" + l.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { b.done <- s.Run(ctx, l, h) }()
	t.Cleanup(stop)
	return b
}

// call sends one request and reads the answer into v if it is a success.
func (b *backend) call(c *http.Client, method, path string, body, v any) (code int, err error) {
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequest(method, b.url+path, &in)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && v != nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(data, v)
	}
	return resp.StatusCode, err
}

// lesson is installed whatever is measured, so that there are many revisions.
func lesson(seed int) taught {
	l := taught{Force: true}
	for i := range 8 {
		l.Examples = append(l.Examples,
			sdk.Example{Text: fmt.Sprintf("%s (%d)", texts[i%3], seed*8+i), Label: labels[(i+seed)%3]})
	}
	return l
}

// TestManyClients: 32 clients learn, ask and forget at once. Profiles steady-… are never forgotten:
// each of their answers must be that of one revision, the same for all who saw it. Profiles
// passing-… come and go.
func TestManyClients(t *testing.T) {
	b := start(t, open(t, t.TempDir()), nil)
	w := &watch{t: t, backend: b, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	for i := range 2 {
		w.learn(fmt.Sprintf("steady-%d", i), i)
	}
	var clients sync.WaitGroup
	for i := range 32 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			w.play(i)
		}()
	}
	clients.Wait()
	w.check()
}

// watch keeps what clients were told.
type watch struct {
	t       *testing.T
	backend *backend
	client  *http.Client
	answers sync.Map // of steady profiles: id, text, revision → the first answer
	known   sync.Map // id, revision that a Learn reported
	count   [6]atomic.Int64
}

func (w *watch) play(i int) {
	steady, passing := fmt.Sprintf("steady-%d", i%2), fmt.Sprintf("passing-%d", i%3)
	for round := range 6 {
		w.predict(steady, texts[round%3])
		w.predict(passing, texts[round%3])
		switch {
		case i%8 == 0 && round == 2:
			w.learn(steady, i)
		case i%8 == 1 && round == i/8:
			w.learn(passing, i)
		case i%8 == 2 && round%2 == 1:
			w.expect("DELETE", "/v1/profiles/"+passing, nil, nil, 204, 404)
		}
	}
}

func (w *watch) expect(method, path string, body, v any, want ...int) int {
	code, err := w.backend.call(w.client, method, path, body, v)
	if err != nil {
		w.t.Errorf("%s %s: %v", method, path, err)
		return 0
	}
	for _, c := range want {
		if code == c {
			w.count[code/100].Add(1)
			return code
		}
	}
	w.t.Errorf("%s %s: got %d, want one of %v", method, path, code, want)
	return 0
}

func (w *watch) learn(id string, seed int) {
	var rep sdk.Report
	if w.expect("POST", "/v1/profiles/"+id+"/learn", lesson(seed), &rep, 200, 409) != 200 {
		return
	}
	if !rep.Installed || rep.Revision == 0 || rep.Bytes == 0 {
		w.t.Errorf("got %+v, want an installed revision", rep)
	}
	w.known.Store(fmt.Sprint(id, rep.Revision), true)
}

func (w *watch) predict(id, text string) {
	var p sdk.Prediction
	steady := strings.HasPrefix(id, "steady-")
	want := []int{200}
	if !steady {
		want = append(want, 404)
	}
	if w.expect("POST", "/v1/profiles/"+id+"/predict", asked{Text: text}, &p, want...) != 200 {
		return
	}
	sum, best := float32(0), probability(p, p.Model)
	for _, l := range labels {
		sum += probability(p, l)
		best = max(best, probability(p, l))
	}
	if len(p.Probabilities) != 3 || math.Abs(float64(sum-1)) > 1e-5 || best != probability(p, p.Model) ||
		p.Source != "profile" && p.Source != "taught" || p.Profile != id || p.Revision == 0 {
		w.t.Errorf("got %+v, want a whole answer of a profile", p)
	}
	if !steady {
		return
	}
	first, _ := w.answers.LoadOrStore([3]any{id, text, p.Revision}, p)
	for _, q := range first.(sdk.Prediction).Probabilities {
		if math.Abs(float64(q.P-probability(p, q.Label))) > 1e-5 {
			w.t.Errorf("%s, revision %d: got %v and %v, want one answer", id, p.Revision, p, first)
		}
	}
}

// check ends the test: every revision that answered was reported by a Learn.
func (w *watch) check() {
	revisions := map[string]bool{}
	w.answers.Range(func(key, _ any) bool {
		k := key.([3]any)
		name := fmt.Sprint(k[0], k[2])
		revisions[name] = true
		if _, ok := w.known.Load(name); !ok {
			w.t.Errorf("%s revision %d answered, but no Learn reported it", k[0], k[2])
		}
		return true
	})
	if len(revisions) < 4 {
		w.t.Errorf("got %d revisions that answered, want several", len(revisions))
	}
	w.t.Logf("%d requests succeeded, %d were for profiles that were not there; %d revisions answered",
		w.count[2].Load(), w.count[4].Load(), len(revisions))
}
