package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/xpeft/xpeft/internal/wire"
)

const (
	bodyTime   = 15 * time.Second
	answerTime = 30 * time.Second // for an answer to be taken
)

// request is one call of the API.
type request struct {
	*http.Request
	w         http.ResponseWriter
	server    *Server
	requestID string
	route     string // its pattern: a path has the profile's id in it, which no log should have
	tenant    *tenant
	profile   string // of the path; empty: none
	code      int    // of the answer
}

// answered is what a handler returns that has written its answer itself.
var answered any = new(int)

// requestID is the caller's own id of a request, if it could not forge a log line, else a new one.
func requestID(given string) string {
	odd := strings.ContainsFunc(given, func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.", c)
	})
	if given != "" && len(given) <= 64 && !odd {
		return given
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// ServeHTTP answers every request, whatever it is, with JSON, a stream of events or a problem.
func (s *Server) ServeHTTP(w http.ResponseWriter, h *http.Request) {
	s.reached.Add(1)
	id := requestID(h.Header.Get("X-Request-Id"))
	header := w.Header()
	header.Set("X-Request-Id", id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	r := &request{Request: h, w: w, server: s, requestID: id}
	began, control := time.Now(), http.NewResponseController(w)
	control.SetWriteDeadline(began.Add(answerTime)) // in place of one that an earlier request left
	// What is left of a body is not waited for.
	defer func() { control.SetReadDeadline(time.Now().Add(time.Second)) }()
	// The mux would send the caller to another path, and what has none, as *, away without a word.
	if p := h.URL.EscapedPath(); path.Clean(p) != p || p[0] != '/' {
		r.fail(errNoRoute)
	} else {
		s.mux.ServeHTTP(w, h.WithContext(context.WithValue(h.Context(), requestKey{}, r)))
	}
	if r.tenant != nil {
		r.tenant.Requests.add(r.route, r.code)
	}
	level := slog.LevelInfo
	if r.tenant == nil && r.code == http.StatusOK { // probes
		level = slog.LevelDebug
	}
	s.log.Log(h.Context(), level, "request", "request", id, "tenant", r.tenantName(), "route", r.route,
		"method", h.Method, "status", r.code, "took", time.Since(began))
}

type requestKey struct{}

// handle is the handler of a pattern: what f answers, after it was found who asks.
func (s *Server) handle(pattern string, f func(r *request)) (string, http.HandlerFunc) {
	return pattern, func(_ http.ResponseWriter, h *http.Request) {
		r := h.Context().Value(requestKey{}).(*request)
		r.Request, r.route = h, pattern
		f(r)
	}
}

func (r *request) tenantName() string {
	if r.tenant == nil {
		return ""
	}
	return r.tenant.Name
}

// admit finds the tenant, takes a slot of the class and a token of the profile. leave must be
// called.
func (r *request) admit(c class) (leave func(), err error) {
	if r.tenant, err = r.server.tenantOf(r.Request); err != nil {
		return nil, err
	}
	slots := r.tenant.slots[c]
	select {
	case slots <- struct{}{}:
	default:
		return nil, errManyAtOnce
	}
	if r.profile != "" && !r.tenant.buckets.take(r.profile, time.Now()) {
		<-slots
		return nil, errTooFast
	}
	return func() { <-slots }, nil
}

// body reads and decodes a body of at most so many bytes.
func body[T any](r *request, most int64) (T, error) {
	var none T
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" { // a web page of another site cannot send this unasked
		return none, errType
	}
	// net/http takes it back once the body has been read
	http.NewResponseController(r.w).SetReadDeadline(time.Now().Add(r.server.bodyTime))
	data, err := io.ReadAll(http.MaxBytesReader(r.w, r.Request.Body, most))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return none, fmt.Errorf("%w: more than %d bytes", errTooLong, most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return none, errSlowBody
	case err != nil:
		return none, fmt.Errorf("%w: %w", wire.ErrBody, err)
	}
	return wire.Decode[T](data)
}

// isLocal says whether a Host header names this machine.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 2 && host[0] == '[' {
		host = host[1 : n-1]
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

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
