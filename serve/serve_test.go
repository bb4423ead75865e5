package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

var labelNames = []string{"urgent", "later", "ignore"}

// open makes a folder with the real model.
func open(t *testing.T, dir string, events *Events) *sdk.Folder {
	t.Helper()
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	o := &sdk.Options{}
	if events != nil {
		o.OnLearned = events.OnLearned
	}
	p, err := sdk.Create(t.Context(), dir, sdk.Config{Model: model, Labels: labelNames, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// backend is a server on a real socket.
type backend struct {
	t      *testing.T
	url    string
	token  string
	server *Server
	stop   context.CancelFunc
	done   chan error // Run's
	client *http.Client
}

func start(t *testing.T, tenants []Tenant, o *Options) *backend {
	t.Helper()
	s, err := New(tenants, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &backend{t: t, url: "http://" + l.Addr().String(), server: s, stop: stop, done: make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{}}}
	go func() { b.done <- s.Run(ctx, l, nil) }()
	t.Cleanup(func() { stop(); b.client.CloseIdleConnections() })
	return b
}

// send is one request with a body that is a string, a value to be written as JSON, or nil.
func (b *backend) send(method, path string, body any) *http.Response {
	b.t.Helper()
	var in bytes.Buffer
	if s, ok := body.(string); ok {
		in.WriteString(s)
	} else if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			b.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, b.url+path, &in)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}

// call sends and reads the answer into v if it is a success; else it gives the problem's code.
func (b *backend) call(method, path string, body, v any) (status int, code string) {
	b.t.Helper()
	resp := b.send(method, path, body)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if resp.StatusCode < 300 {
		if v != nil {
			if err := json.Unmarshal(data, v); err != nil {
				b.t.Fatalf("%s %s: %v in %q", method, path, err, data)
			}
		}
		return resp.StatusCode, ""
	}
	var p Problem
	if method != "HEAD" {
		if err := json.Unmarshal(data, &p); err != nil {
			b.t.Fatalf("%s %s: got %d and %q, want a problem", method, path, resp.StatusCode, data)
		}
		if p.Status != resp.StatusCode || p.Instance != resp.Header.Get("X-Request-Id") || p.Title == "" ||
			p.Type != explained+p.Code || resp.Header.Get("Content-Type") != "application/problem+json" {
			b.t.Errorf("%s %s: got %+v with %v, want a whole problem", method, path, p, resp.Header)
		}
	}
	return resp.StatusCode, p.Code
}

func lesson(seed int) map[string]any {
	texts := []string{"login fails for everybody", "please review my change", "a voucher only for you"}
	var all []sdk.Example
	for i := range 9 {
		all = append(all, sdk.Example{Text: texts[i%3] + strings.Repeat("!", seed+i/3), Label: labelNames[(i+seed)%3]})
	}
	return map[string]any{"examples": all}
}

func text(s string) map[string]any { return map[string]any{"text": s} }

func silent() *Options { return &Options{Logger: slog.New(slog.DiscardHandler)} }

// TestRoutes walks through the whole API as one person.
func TestRoutes(t *testing.T) {
	events := &Events{}
	b := start(t, []Tenant{{Name: "one", Folder: open(t, t.TempDir(), events), Events: events}}, silent())
	large := `{"text": "` + strings.Repeat("a", smallBody) + `"}`
	const alice = "/v1/profiles/alice"
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		code         string
	}{
		{"GET", "/healthz", nil, 200, ""},
		{"GET", "/readyz", nil, 200, ""},
		{"GET", "/openapi.json", nil, 200, ""},
		{"HEAD", "/openapi.json", nil, 200, ""},
		{"GET", "/metrics", nil, 404, "no_route"},
		{"GET", "/v1/labels", nil, 200, ""},
		{"GET", "/v1/stats", nil, 200, ""},
		{"GET", "/v1/advice", nil, 200, ""},
		{"GET", "/v1/profiles", nil, 200, ""},
		{"GET", alice, nil, 404, "profile_not_found"},
		{"DELETE", alice, nil, 404, "profile_not_found"},
		{"POST", alice + "/predict", text("hi"), 404, "profile_not_found"},
		{"POST", alice + "/predict", `{"text": "hi", "fallback": "base"}`, 200, ""},
		{"POST", alice + "/predict", `{"text": "hi", "fallback": "bass"}`, 400, "bad_options"},
		{"POST", alice + "/predict", `{"text": "hi", "min_probability": 2}`, 400, "bad_options"},
		{"POST", alice + "/learn", lesson(0), 200, ""},
		{"GET", alice, nil, 200, ""},
		{"HEAD", alice, nil, 200, ""},
		{"POST", alice + "/observe", `{"examples": [{"text": "hi", "label": "later"}]}`, 202, ""},
		{"POST", alice + "/observe", `{"examples": [{"text": "hi", "label": "unheard-of"}]}`, 400, "unknown_label"},
		{"POST", alice + "/observe", `{"examples": [{"text": "hi"}]}`, 400, "bad_example"},
		{"POST", alice + "/observe", `{"examples": []}`, 400, "bad_body"},
		{"POST", alice + "/confirm", `{"text": "ho", "label": "later"}`, 202, ""},
		{"POST", alice + "/reject", `{"text": "hu", "label": "later"}`, 202, ""},
		{"POST", alice + "/reject", `{"text": "hu", "label": ""}`, 400, "bad_example"},
		{"POST", alice + "/predict", text("hi"), 200, ""},
		{"POST", alice + "/predict", text(" "), 400, "bad_example"},
		{"POST", alice + "/predict", `{"text": "hi", "user": "bob"}`, 400, "bad_body"},
		{"POST", alice + "/predict", "", 400, "bad_body"},
		{"POST", alice + "/predict", large, 413, "limit"},
		{"POST", "/v1/predict", `{"requests": [{"profile": "alice", "text": "hi"}]}`, 200, ""},
		{"POST", "/v1/predict", `{"requests": []}`, 400, "bad_body"},
		{"POST", alice + "/learn", `{"examples": [{"text": "hi", "label": "unheard-of"}]}`, 400, "unknown_label"},
		{"POST", alice + "/learn", `{"examples": [{"text": "hi", "label": "later"}], "effort": "none"}`, 400,
			"bad_options"},
		{"POST", alice + "/learn", lesson(1), 200, ""},
		{"GET", alice + "/examples", nil, 200, ""},
		{"GET", alice + "/history", nil, 200, ""},
		{"GET", alice + "/data", nil, 200, ""},
		{"POST", alice + "/rollback", `{}`, 200, ""},
		{"POST", alice + "/rollback", `{"revision": 999}`, 404, "revision_not_found"},
		{"POST", alice + "/examples/forget", text("hu"), 200, ""},
		{"POST", alice + "/examples/forget", text("never said"), 404, "example_not_found"},
		{"POST", alice + "/rank", `{"text": "hi", "candidates": ["hello", "bye"]}`, 200, ""},
		{"POST", alice + "/rank", `{"text": "hi", "candidates": []}`, 400, "bad_candidates"},
		{"POST", alice + "/chose", `{"text": "hi", "candidates": ["hello", "bye"], "chosen": "bye"}`, 202, ""},
		{"POST", alice + "/chose", `{"text": "hi", "candidates": ["hello", "bye"], "chosen": "no"}`, 400, "bad_candidates"},
		{"POST", alice + "/examples/forget", `{"text": "hi", "candidates": ["bye", "hello"]}`, 200, ""},
		{"POST", "/v1/embed", `{"texts": ["hi", "ho"]}`, 200, ""},
		{"POST", "/v1/embed", `{"texts": []}`, 400, "bad_body"},
		{"GET", alice + "/ask", nil, 409, "no_population"},
		{"GET", alice + "/ask?n=0", nil, 400, "bad_query"},
		{"GET", alice + "/ask?n=three", nil, 400, "bad_query"},
		{"GET", alice + "/ask?n=21", nil, 400, "bad_query"},
		{"GET", alice + "/ask?m=3", nil, 400, "bad_query"},
		{"GET", alice + "/ask?n=%zz", nil, 400, "bad_query"},
		{"POST", "/v1/profiles/" + strings.Repeat("a", 300) + "/learn", lesson(0), 400, "bad_id"},
		{"GET", alice + "/learn", nil, 405, "method"},
		{"OPTIONS", alice, nil, 405, "method"},
		{"PUT", "/healthz", nil, 405, "method"},
		{"GET", "/", nil, 404, "no_route"},
		{"GET", "/v1", nil, 404, "no_route"},
		{"GET", "/v1/profiles/", nil, 404, "no_route"},
		{"GET", "/v1/profiles//examples", nil, 404, "no_route"},
		{"GET", "/v1/profiles/alice/../bob", nil, 404, "no_route"},
		{"GET", "/v2/labels", nil, 404, "no_route"},
		{"DELETE", alice, nil, 204, ""},
		{"POST", alice + "/predict", text("hi"), 404, "profile_not_found"},
	} {
		if status, code := b.call(c.method, c.path, c.body, nil); status != c.status || code != c.code {
			t.Errorf("%s %.40s %.40v: got %d %s, want %d %s", c.method, c.path, c.body, status, code, c.status, c.code)
		}
	}
}

// TestEvents: who listens hears of what others do, and the stream ends when the server drains.
func TestEvents(t *testing.T) {
	events := &Events{}
	b := start(t, []Tenant{{Name: "one", Folder: open(t, t.TempDir(), events), Events: events}}, silent())
	stream := b.send("GET", "/v1/profiles/alice/events", nil)
	defer stream.Body.Close()
	b.call("POST", "/v1/profiles/bob/observe", `{"examples": [{"text": "ho", "label": "later"}]}`, nil)
	b.call("POST", "/v1/profiles/alice/observe", `{"examples": [{"text": "hi", "label": "later"}]}`, nil)
	b.call("POST", "/v1/profiles/alice/learn", lesson(0), nil)
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	b.stop()
	if err := <-b.done; err != nil || time.Since(began) > 15*time.Second {
		t.Fatalf("got %v after %v, want the stream's end at once, not that of the time to drain", err, time.Since(began))
	}
	got, err := io.ReadAll(stream.Body)
	want := "retry: 2000\n\nevent: observed\ndata: {\"profile\":\"alice\",\"waiting\":1}\n\nevent: learned\ndata: {\"profile\":\"alice\","
	if err != nil || !strings.HasPrefix(string(got), want) || strings.Contains(string(got), "bob") {
		t.Errorf("got %q, %v, want it to begin %q", got, err, want)
	}
}

// syncBuffer is a bytes.Buffer for a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
