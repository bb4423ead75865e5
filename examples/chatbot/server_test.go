package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xpeft/xpeft/examples/chatbot/wire"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

var (
	labels = []string{"urgent", "later", "ignore"}
	texts  = []string{"login fails for everybody", "a voucher only for you", "please review my change"}
)

const adapters, ones = 24, 8 // a small bank: these tests are about HTTP

func open(t *testing.T, dir string) *sdk.Folder {
	t.Helper()
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	p, err := openOrCreate(t.Context(), dir, sdk.Config{Model: model, K: ones, Labels: labels,
		Bank: sdk.RandomBank{N: adapters, Seed: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// shortly learns in a few steps and always installs, so that there are many revisions.
func shortly() *sdk.LearnOptions {
	c := learner.Default()
	c.K, c.Epochs, c.Batch = ones, 1, 8
	return &sdk.LearnOptions{Config: &c, Force: true}
}

// backend is a server on a real socket.
type backend struct {
	url  string
	stop context.CancelFunc
	done chan error // serve's error
}

func start(t *testing.T, h http.Handler) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &backend{url: "http://" + l.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { b.done <- serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(stop)
	return b
}

func silent(p *sdk.Folder) http.Handler {
	return newServer(p, shortly(), defaults, slog.New(slog.DiscardHandler))
}

// call sends one request and reads the answer into v if it is a success.
func (b *backend) call(c *http.Client, method, path string, body, v any) (code int, err error) {
	var in bytes.Buffer
	if s, ok := body.(string); ok {
		in.WriteString(s)
	} else if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequest(method, b.url+path, &in)
	if err != nil {
		return 0, err
	}
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

func lesson(seed int) wire.Learn {
	var l wire.Learn
	for i := range 8 {
		l.Examples = append(l.Examples,
			wire.Example{Text: fmt.Sprintf("%s (%d)", texts[i%3], seed*8+i), Label: labels[(i+seed)%3]})
	}
	return l
}

func TestRoutes(t *testing.T) {
	b := start(t, silent(open(t, t.TempDir())))
	large := `{"text": "` + strings.Repeat("a", maxPredictBody) + `"}`
	for _, c := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"GET", "/healthz", nil, 200},
		{"POST", "/users/alice/predict", wire.Predict{Text: "hi"}, 404},
		{"DELETE", "/users/alice", nil, 404},
		{"POST", "/users/alice/learn", lesson(0), 200},
		{"POST", "/users/alice/observe", wire.Example{Text: "hi", Label: "later"}, 204},
		{"POST", "/users/alice/observe", wire.Example{Text: "hi", Label: "unheard-of"}, 400},
		{"POST", "/users/alice/observe", `{"text": "hi"}`, 400},
		{"POST", "/users/alice/predict", wire.Predict{Text: "hi"}, 200},
		{"POST", "/users/alice/predict", `{"text": "hi", "user": "bob"}`, 400},
		{"POST", "/users/alice/predict", "", 400},
		{"POST", "/users/alice/predict", large, 413},
		{"POST", "/users/alice/learn", `{"examples": []}`, 400},
		{"POST", "/users/alice/learn", `{"examples": [{"text": "hi", "label": "unheard-of"}]}`, 400},
		{"POST", "/users/alice/learn", `{"examples": [{"text": " ", "label": "later"}]}`, 400},
		{"POST", "/users/" + strings.Repeat("a", 4096) + "/learn", lesson(0), 400},
		{"GET", "/users/alice/learn", nil, 405},
		{"GET", "/users/alice/ask", nil, 409},
		{"GET", "/users/alice/ask?n=0", nil, 400},
		{"GET", "/users/alice/ask?n=three", nil, 400},
		{"GET", "/users/alice/ask?n=21", nil, 400},
		{"GET", "/users", nil, 404},
		{"GET", "/stats", nil, 200},
		{"DELETE", "/users/alice", nil, 204},
		{"POST", "/users/alice/predict", wire.Predict{Text: "hi"}, 404},
	} {
		got, err := b.call(http.DefaultClient, c.method, c.path, c.body, nil)
		if err != nil || got != c.want {
			t.Errorf("%s %.40s: got %d, %v, want %d", c.method, c.path, got, err, c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{
		sdk.ErrClosed:              503,
		sdk.ErrConflict:            409,
		context.Canceled:           499,
		context.DeadlineExceeded:   504,
		errors.New("no such page"): 500,
	} {
		if got := status(fmt.Errorf("sdk: learn: %w", err)); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}

// TestManyClients: 32 clients learn, ask and forget at once. Profiles steady-… are never forgotten:
// each of their answers must be that of one revision, the same for all who saw it. Profiles
// passing-… come and go.
func TestManyClients(t *testing.T) {
	b := start(t, silent(open(t, t.TempDir())))
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
			w.expect("DELETE", "/users/"+passing, nil, nil, 204, 404)
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
	if w.expect("POST", "/users/"+id+"/learn", lesson(seed), &rep, 200, 409) != 200 {
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
	if w.expect("POST", "/users/"+id+"/predict", wire.Predict{Text: text}, &p, want...) != 200 {
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
