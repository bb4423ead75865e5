package serve

import (
	"context"
	_ "embed"
	"net/http"
	"slices"
	"strings"
	"time"
)

// route is a method of a path. Its handler returns what is answered with its code; 204 has nothing.
type route struct {
	method, path string
	class        class
	code         int
	handle       func(r *request) (any, error)
}

// table is the API: all that needs a token.
var table = []route{
	{"GET", "/v1/labels", reads, 200, (*request).labels},
	{"GET", "/v1/stats", reads, 200, (*request).stats},
	{"GET", "/v1/advice", advises, 200, (*request).advice},
	{"POST", "/v1/predict", predicts, 200, (*request).predictBatch},
	{"POST", "/v1/embed", predicts, 200, (*request).embed},
	{"GET", "/v1/events", streams, 200, (*request).events},
	{"GET", "/v1/profiles", reads, 200, (*request).profiles},
	{"GET", "/v1/profiles/{id}", reads, 200, (*request).show},
	{"DELETE", "/v1/profiles/{id}", writes, 204, (*request).forget},
	{"GET", "/v1/profiles/{id}/data", reads, 200, (*request).data},
	{"POST", "/v1/profiles/{id}/predict", predicts, 200, (*request).predict},
	{"POST", "/v1/profiles/{id}/learn", learns, 200, (*request).learn},
	{"POST", "/v1/profiles/{id}/observe", writes, 202, (*request).observe},
	{"POST", "/v1/profiles/{id}/confirm", writes, 202, (*request).confirm},
	{"POST", "/v1/profiles/{id}/reject", writes, 202, (*request).reject},
	{"POST", "/v1/profiles/{id}/rank", predicts, 200, (*request).rank},
	{"POST", "/v1/profiles/{id}/chose", writes, 202, (*request).chose},
	{"GET", "/v1/profiles/{id}/ask", predicts, 200, (*request).ask},
	{"GET", "/v1/profiles/{id}/examples", reads, 200, (*request).examples},
	{"POST", "/v1/profiles/{id}/examples/forget", writes, 200, (*request).forgetExample},
	{"GET", "/v1/profiles/{id}/history", reads, 200, (*request).history},
	{"POST", "/v1/profiles/{id}/rollback", writes, 200, (*request).rollback},
	{"GET", "/v1/profiles/{id}/events", streams, 200, (*request).events},
}

//go:embed openapi.json
var openAPI []byte

// routes is the mux of the API and of what is beside it.
func (s *Server) routes() *http.ServeMux {
	mux, methods := http.NewServeMux(), map[string][]string{}
	add := func(method, path string, f func(r *request)) {
		methods[path] = append(methods[path], method)
		mux.HandleFunc(s.handle(method+" "+path, f))
	}
	for _, t := range table {
		add(t.method, t.path, t.answer)
	}
	add("GET", "/healthz", func(r *request) { r.write(200, "application/json", map[string]bool{"ok": true}) })
	add("GET", "/readyz", (*request).ready)
	add("GET", "/openapi.json", func(r *request) {
		r.code = 200
		r.w.Header().Set("Content-Type", "application/json")
		r.w.Write(openAPI)
	})
	add("GET", "/metrics", (*request).metrics)
	for path, allowed := range methods {
		if slices.Contains(allowed, "GET") {
			allowed = append(allowed, "HEAD")
		}
		mux.HandleFunc(s.handle(path, func(r *request) {
			r.w.Header().Set("Allow", strings.Join(allowed, ", "))
			r.fail(errMethod)
		}))
	}
	mux.HandleFunc(s.handle("/", func(r *request) { r.fail(errNoRoute) }))
	return mux
}

// answer is a route's work on one request.
func (t route) answer(r *request) {
	r.profile = r.PathValue("id")
	leave, err := r.admit(t.class)
	if err != nil {
		r.fail(err)
		return
	}
	defer leave()
	if t.class != streams {
		limit := time.Now().Add(within[t.class])
		http.NewResponseController(r.w).SetWriteDeadline(limit.Add(answerTime))
		ctx, cancel := context.WithDeadline(r.Context(), limit)
		defer cancel()
		r.Request = r.WithContext(ctx)
	}
	v, err := t.handle(r)
	switch {
	case err != nil:
		r.fail(err)
	case v == answered:
	case t.code == http.StatusNoContent:
		r.code = t.code
		r.w.WriteHeader(t.code)
	default:
		r.write(t.code, "application/json", v)
	}
}

// ready says whether all folders answer, and the server takes requests.
func (r *request) ready() {
	select {
	case <-r.server.draining:
		r.fail(errDraining)
		return
	default:
	}
	for _, t := range r.server.tenants {
		if _, err := t.Folder.Labels(r.Context()); err != nil {
			r.fail(err)
			return
		}
	}
	r.write(200, "application/json", map[string]bool{"ready": true})
}

func (r *request) metrics() {
	leave, err := r.admit(reads)
	if err != nil {
		r.fail(err)
		return
	}
	defer leave()
	if r.tenant.Metrics == nil {
		r.fail(errNoRoute)
		return
	}
	r.code = http.StatusOK
	r.tenant.Metrics.ServeHTTP(r.w, r.Request)
}
