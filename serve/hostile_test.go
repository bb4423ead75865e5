package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/wire"
	"github.com/xpeft/xpeft/sdk"
)

// add puts a route into a running server, before it is asked.
func (b *backend) add(t route) {
	b.server.mux.HandleFunc(b.server.handle(t.method+" "+t.path, t.answer))
}

// raw sends bytes as they are and reads an answer.
func (b *backend) raw(text string) (*http.Response, string) {
	b.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, text)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatalf("%.60q: %v", text, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(data)
}

// TestTokens: a token opens its tenant's folder and no other; anything else opens none.
func TestTokens(t *testing.T) {
	b := start(t, []Tenant{
		{Name: "one", Folder: open(t, t.TempDir(), nil), Tokens: []TokenHash{HashToken("t1"), HashToken("t1new")}},
		{Name: "two", Folder: open(t, t.TempDir(), nil), Tokens: []TokenHash{HashToken("t2")}}}, silent())
	b.token = "t1"
	if status, _ := b.call("POST", "/v1/profiles/ann/observe", `{"examples": [{"text": "hi", "label": "later"}]}`,
		nil); status != 202 {
		t.Fatalf("observe: got %d, want 202", status)
	}
	for authorization, want := range map[string]string{
		"Bearer t1": "200", "bearer t1new": "200", "Bearer t2": "404", "": "401", "Bearer": "401", "Bearer ": "401",
		"Basic t1": "401", "t1": "401", "Bearer t": "401", "Bearer t1 t1": "401", "Bearer T1": "401",
		"Bearer t1\r\nAuthorization: Bearer t2": "200", "Bearer " + fmt.Sprintf("%x", HashToken("t1")): "401",
	} {
		for _, path := range []string{"/v1/profiles/ann", "/v1/profiles/ann/data", "/v1/profiles/ann/examples"} {
			resp, body := b.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + authorization + "\r\n\r\n")
			if got := fmt.Sprint(resp.StatusCode); got != want || (got == "401") != (resp.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("%q %s: got %s %s, want %s", authorization, path, got, body, want)
			}
		}
	}
	for _, path := range []string{"/v1/labels", "/v1/events", "/metrics"} {
		if resp, _ := b.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 401 {
			t.Errorf("%s without a token: got %d, want 401", path, resp.StatusCode)
		}
	}
}

// TestOddIDs: an id is one segment of the path, whatever is in it.
func TestOddIDs(t *testing.T) {
	b := start(t, []Tenant{{Folder: open(t, t.TempDir(), nil)}}, silent())
	ids := []string{"a/b", "a/", "..", ".", "a b", "ü", "日本", "a%2Fb", "?q=1", "#", "\n", "\x00", "a+b", "predict",
		"\"quoted\" <b>", strings.Repeat("é", 128), "\u202e", "a;b", "a//b", "%"}
	for _, id := range ids {
		path := "/v1/profiles/" + strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
		var w waiting
		if status, code := b.call("POST", path+"/observe", `{"examples": [{"text": "hi", "label": "later"}]}`, &w); status != 202 ||
			w.Profile != id {
			t.Errorf("observe %.20q: got %d %s and %+v, want 202", id, status, code, w)
		}
		var info sdk.ProfileInfo
		if status, code := b.call("GET", path, nil, &info); status != 200 || info.ID != id {
			t.Errorf("show %.20q: got %d %s and %q, want it", id, status, code, info.ID)
		}
	}
	seen, next := 0, ""
	for pages := 0; pages == 0 || next != ""; pages++ {
		var p page
		b.call("GET", "/v1/profiles?limit=3&after="+url.QueryEscape(next), nil, &p)
		seen, next = seen+len(p.Profiles), p.Next
	}
	if seen != len(ids) {
		t.Errorf("pages: got %d profiles, want %d", seen, len(ids))
	}
	for _, id := range ids {
		if status, code := b.call("DELETE", "/v1/profiles/"+strings.ReplaceAll(url.PathEscape(id), ".", "%2E"), nil,
			nil); status != 204 {
			t.Errorf("forget %.20q: got %d %s, want 204", id, status, code)
		}
	}
	for path, want := range map[string]string{"%FF": "400 bad_id", strings.Repeat("a", 257): "400 bad_id", "..": "404 no_route",
		".": "404 no_route", "": "404 no_route", "%2F": "404 no_route"} { // which net/http takes for no segment
		status, code := b.call("GET", "/v1/profiles/"+path+"/data", nil, nil)
		if got := fmt.Sprint(status, " ", code); got != want {
			t.Errorf("%.20q: got %s, want %s", path, got, want)
		}
	}
	if resp, body := b.raw("GET /v1/profiles/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"); resp.StatusCode != 400 {
		t.Errorf("a bad escape: got %d %s, want 400", resp.StatusCode, body)
	}
}

// TestHostileRequests: what no client of good will sends is answered with a problem, or by
// net/http.
func TestHostileRequests(t *testing.T) {
	b := start(t, []Tenant{{Folder: open(t, t.TempDir(), nil)}}, silent())
	b.server.bodyTime = time.Second
	const predict = "POST /v1/profiles/ann/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for _, c := range []struct {
		name, text string
		status     int
		code       string
	}{
		{"no type", "POST /v1/profiles/ann/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415, "content_type"},
		{"a form", strings.Replace(predict, "application/json", "text/plain", 1) + "Content-Length: 2\r\n\r\n{}", 415,
			"content_type"},
		{"with a charset", strings.Replace(predict, "json", "json; charset=utf-8", 1) + "Content-Length: 2\r\n\r\n{}", 400,
			"bad_example"},
		{"another's host", strings.Replace(predict, "localhost", "evil.example", 1) + "Content-Length: 2\r\n\r\n{}", 421,
			"wrong_host"},
		{"a body that does not end", predict + "Content-Length: 20\r\n\r\n{\"text", 408, "slow_body"},
		{"chunks that do not end", predict + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", 408, "slow_body"},
		{"huge", predict + "Content-Length: 70000\r\n\r\n" + strings.Repeat("a", 70000), 413, "limit"},
		{"said to be huge", predict + "Content-Length: 70000000000\r\n\r\n" + strings.Repeat("a", 70000), 413, "limit"},
		{"huge chunk", predict + "Transfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat("a", 70000), 413, "limit"},
		{"a method of its own", "BREW /v1/labels HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method"},
		{"a body with GET", "GET /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", 200, ""},
		{"a whole URL", "GET http://evil.example/v1/labels HTTP/1.1\r\nHost: localhost\r\n\r\n", 421, "wrong_host"},
		{"no path", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "no_route"},
		{"OPTIONS", "OPTIONS /v1/profiles/ann HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method"},
		{"another API", "GET /wp-login.php HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "no_route"},
	} {
		resp, body := b.raw(c.text)
		if resp.StatusCode != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s: got %d %s, want %d %s", c.name, resp.StatusCode, body, c.status, c.code)
		}
		if c.status == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s: got no Allow", c.name)
		}
	}
	for sent, want := range map[string]string{"abc-1.2_3": "abc-1.2_3", "a b": "", "x\"} {": "", strings.Repeat("a", 65): "", "é": ""} {
		resp, _ := b.raw("GET /v1/labels HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: " + sent + "\r\n\r\n")
		if got := resp.Header.Get("X-Request-Id"); want != "" && got != want || want == "" && len(got) != 16 {
			t.Errorf("request id %q: got %q", sent, got)
		}
	}
}

// TestLimits: beyond the limit of its class a request is told at once to come back, beyond the rate
// of its profile too, and others do not care.
func TestLimits(t *testing.T) {
	b := start(t, []Tenant{{Folder: open(t, t.TempDir(), nil), Limits: Limits{Learn: 2, Rate: 0.001, Burst: 3}}},
		silent())
	entered, leave := make(chan bool, 3), make(chan bool)
	b.add(route{"GET", "/slow", learns, 200, func(r *request) (any, error) {
		entered <- true
		select {
		case <-leave:
		case <-time.After(20 * time.Second): // one too many came in
		}
		return 1, nil
	}})
	slow := make(chan int, 3)
	for range 2 {
		go func() { status, _ := b.call("GET", "/slow", nil, nil); slow <- status }()
		<-entered
	}
	resp := b.send("GET", "/slow", nil)
	resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("the third: got %d, want 429 and Retry-After", resp.StatusCode)
	}
	for i, want := range []string{"404 profile_not_found", "404 profile_not_found", "404 profile_not_found", "429 rate", "429 rate"} {
		status, code := b.call("GET", "/v1/profiles/ann", nil, nil)
		if got := fmt.Sprint(status, " ", code); got != want {
			t.Errorf("request %d: got %s, want %s", i, got, want)
		}
	}
	if status, code := b.call("GET", "/v1/profiles/bob", nil, nil); status != 404 {
		t.Errorf("another profile: got %d %s, want 404", status, code)
	}
	var out predictions
	b.call("POST", "/v1/predict", `{"fallback": "base", "requests": [{"profile": "ann", "text": "hi"},
		{"profile": "bob", "text": "hi"}, {"profile": "eve", "text": " "}]}`, &out)
	if p := out.Predictions; len(p) != 3 || p[0].Error == nil || p[0].Error.Code != "rate" || p[0].Profile != "ann" ||
		p[1].Error != nil || p[1].Source != sdk.SourceBase || p[2].Error == nil || p[2].Error.Code != "bad_example" {
		t.Errorf("rows: got %+v, want rate, an answer, bad_example", p)
	}
	close(leave)
	for range 2 {
		if status := <-slow; status != 200 {
			t.Errorf("within the limit: got %d, want 200", status)
		}
	}
}

// TestBuckets: a rate is kept, time gives it back, and a profile that shares one bucket with a
// greedy one is not kept out.
func TestBuckets(t *testing.T) {
	now, limits := time.Now(), Limits{Rate: 10, Burst: 5}
	b := newBuckets(limits)
	took := func(id string, at time.Time) (n int) {
		for n < 100 && b.take(id, at) {
			n++
		}
		return n
	}
	if got := took("ann", now); got != 5 {
		t.Errorf("at once: got %d, want 5", got)
	}
	if got := took("ann", now.Add(200*time.Millisecond)); got != 2 {
		t.Errorf("0.2 s later: got %d, want 2", got)
	}
	if got := took("ann", now.Add(time.Hour)); got != 5 {
		t.Errorf("an hour later: got %d, want 5", got)
	}
	kept := 0
	for i := range 2000 {
		if took(fmt.Sprint("other-", i), now.Add(time.Hour)) < 5 {
			kept++
		}
	}
	if kept > 40 { // both buckets are shared with two of the 2,000 before, of 16,384
		t.Errorf("got %d of 2,000 profiles below their rate, want hardly any", kept)
	}
	limits.Rate = math.Inf(1)
	if b := newBuckets(limits); !b.take("ann", now) {
		t.Error("no limit: got one")
	}
}

// TestGone: a caller that goes away frees its slot, and is logged as such.
func TestGone(t *testing.T) {
	var log syncBuffer
	b := start(t, []Tenant{{Folder: open(t, t.TempDir(), nil), Limits: Limits{Read: 1}}},
		&Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	entered := make(chan bool)
	b.add(route{"GET", "/slow", reads, 200, func(r *request) (any, error) {
		close(entered)
		<-r.Context().Done()
		return nil, r.Context().Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.client.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want Canceled", err)
	}
	for began := time.Now(); !strings.Contains(log.String(), "status=499"); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("log: got %s, want status 499", log.String())
		}
	}
	if status, code := b.call("GET", "/v1/labels", nil, nil); status != 200 {
		t.Errorf("afterwards: got %d %s, want 200", status, code)
	}
}

// TestDrain: a Learn that is not done when the time is over is answered 503 and leaves nothing; a
// server that drains is not ready, and ends streams at once.
func TestDrain(t *testing.T) {
	p := open(t, t.TempDir(), nil)
	b := start(t, []Tenant{{Folder: p}}, &Options{Drain: time.Millisecond, Notice: 3 * time.Second})
	var many []sdk.Example
	for i := range wire.MaxExamples {
		many = append(many, sdk.Example{Text: strings.Repeat(fmt.Sprint(i, " words "), 80), Label: labelNames[i%3]})
	}
	done, stream := make(chan string, 1), b.send("GET", "/v1/events", nil)
	defer stream.Body.Close()
	go func() {
		status, code := b.call("POST", "/v1/profiles/ann/learn", map[string]any{"examples": many}, nil)
		done <- fmt.Sprint(status, " ", code)
	}()
	for began := time.Now(); len(b.server.tenants[0].slots[learns]) == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatal("got no Learn in progress")
		}
	}
	b.stop()
	<-b.server.draining
	if status, code := b.call("GET", "/readyz", nil, nil); status != 503 || code != "draining" {
		t.Errorf("readyz: got %d %s, want 503 draining", status, code)
	}
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("stream: got %v, want its end", err)
	}
	if got := <-done; got != "503 draining" {
		t.Errorf("learn: got %s, want 503 draining", got)
	}
	if err := <-b.done; err != nil {
		t.Error(err)
	}
	if _, err := p.Profile(t.Context(), "ann"); !errors.Is(err, sdk.ErrProfileNotFound) {
		t.Errorf("after a Learn that was cut off: got %v, want no profile", err)
	}
}

// TestEventsUnread: a client that does not read its stream is disconnected, and nobody waits for
// it.
func TestEventsUnread(t *testing.T) {
	events := &Events{}
	b := start(t, []Tenant{{Folder: open(t, t.TempDir(), nil), Events: events}}, silent())
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	listeners := func() int {
		events.mu.Lock()
		defer events.mu.Unlock()
		return len(events.listeners)
	}
	for listeners() == 0 {
		time.Sleep(time.Millisecond)
	}
	report := &sdk.Report{Profile: "ann", Reason: strings.Repeat("long ", 2000)}
	sent, began := 0, time.Now()
	for ; listeners() > 0 && time.Since(began) < 30*time.Second; sent++ {
		events.OnLearned("ann", report, nil)
		if sent%16 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if listeners() > 0 {
		t.Fatalf("got a listener after %d events that nobody read, want none", sent)
	}
	t.Logf("disconnected after %d events of %d bytes", sent, len(report.Reason))
	events.OnLearned("ann", report, nil) // nobody listens
	if status, _ := b.call("GET", "/v1/labels", nil, nil); status != 200 {
		t.Errorf("afterwards: got %d, want 200", status)
	}
}

func TestConfig(t *testing.T) {
	p := open(t, t.TempDir(), nil)
	token := []TokenHash{HashToken("x")}
	for want, c := range map[string]struct {
		tenants []Tenant
		options *Options
	}{
		"no tenants":                  {nil, nil},
		"tenant 0: no folder":         {[]Tenant{{}}, nil},
		"tenant 1: no token":          {[]Tenant{{Folder: p, Tokens: token}, {Folder: p}}, nil},
		"a token that is given":       {[]Tenant{{Folder: p, Tokens: token}, {Folder: p, Tokens: token}}, nil},
		"the hash of an empty token":  {[]Tenant{{Folder: p, Tokens: []TokenHash{HashToken("")}}}, nil},
		"Limits.Read is -1":           {[]Tenant{{Folder: p, Limits: Limits{Read: -1}}}, nil},
		"Limits.Rate is NaN":          {[]Tenant{{Folder: p, Limits: Limits{Rate: math.NaN()}}}, nil},
		"Drain or Notice is negative": {[]Tenant{{Folder: p}}, &Options{Notice: -1}},
	} {
		s, err := New(c.tenants, c.options)
		if s != nil || !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrConfig and %q", err, want)
		}
	}
	s, err := New([]Tenant{{Folder: p}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := s.Run(t.Context(), l, nil); !errors.Is(err, ErrConfig) {
		t.Errorf("all addresses without tokens: got %v, want ErrConfig", err)
	}
}
