package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/xpeft/xpeft/internal/wire"
	"github.com/xpeft/xpeft/sdk"
)

// Problem is the body of every answer that is not a success: RFC 9457, with three fields more.
type Problem struct {
	Type     string `json:"type"` // where Code is explained
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance"`          // the request's id, as in X-Request-Id and in the log
	Code     string `json:"code"`              // what programs tell problems apart by
	Example  *int   `json:"example,omitempty"` // the index of the example that is wrong
	Label    string `json:"label,omitempty"`   // the label that is wrong
}

// explained is the page that has a heading for each code.
const explained = "https://github.com/xpeft/xpeft/blob/main/docs/serve.md#"

// kind is one code, and the error that it stands for.
type kind struct {
	err    error
	code   string
	status int
	title  string
}

// Errors of the server's own.
var (
	errDraining   = errors.New("the server is ending")
	errToken      = errors.New("no bearer token that is known")
	errHost       = errors.New("a host that is not this machine: without tokens only this machine is served")
	errNoRoute    = errors.New("no such path")
	errMethod     = errors.New("not a method of this path")
	errType       = errors.New("want Content-Type: application/json")
	errQuery      = errors.New("bad query")
	errManyAtOnce = errors.New("too many requests at once")
	errTooFast    = errors.New("too many requests for this profile")
	errTooLong    = errors.New("the body is too long")
	errSlowBody   = errors.New("the body came too slowly")
	errInternal   = errors.New("internal error")
)

// statusClosedRequest is nginx's code for a caller that went away; nobody reads it but the log.
const statusClosedRequest = 499

// kinds are in the order in which they are looked for: an error may wrap more than one.
var kinds = []kind{
	{errDraining, "draining", http.StatusServiceUnavailable, "The server is ending"},
	{errToken, "unauthorized", http.StatusUnauthorized, "No valid token"},
	{errHost, "wrong_host", http.StatusMisdirectedRequest, "Not for this host"},
	{errNoRoute, "no_route", http.StatusNotFound, "No such path"},
	{errMethod, "method", http.StatusMethodNotAllowed, "Not a method of this path"},
	{errType, "content_type", http.StatusUnsupportedMediaType, "Not JSON"},
	{errManyAtOnce, "busy", http.StatusTooManyRequests, "Too many requests at once"},
	{errTooFast, "rate", http.StatusTooManyRequests, "Too many requests"},
	{errTooLong, "limit", http.StatusRequestEntityTooLarge, "Beyond a limit"},
	{errSlowBody, "slow_body", http.StatusRequestTimeout, "The body came too slowly"},
	{context.Canceled, "canceled", statusClosedRequest, "The caller went away"},
	{context.DeadlineExceeded, "timeout", http.StatusGatewayTimeout, "It took too long"},
	{sdk.ErrCorrupt, "internal", http.StatusInternalServerError, "Internal error"},
	{sdk.ErrClosed, "closed", http.StatusServiceUnavailable, "The folder is closed"},
	{sdk.ErrFull, "full", http.StatusInsufficientStorage, "No room on the disk"},
	{sdk.ErrReadOnly, "read_only", http.StatusForbidden, "The folder is read-only"},
	{errQuery, "bad_query", http.StatusBadRequest, "Bad query"},
	{wire.ErrBody, "bad_body", http.StatusBadRequest, "Bad body"},
	{sdk.ErrUnknownLabel, "unknown_label", http.StatusBadRequest, "Unknown label"},
	{sdk.ErrExample, "bad_example", http.StatusBadRequest, "Bad text or example"},
	{sdk.ErrCandidates, "bad_candidates", http.StatusBadRequest, "Bad candidates"},
	{sdk.ErrID, "bad_id", http.StatusBadRequest, "Bad profile id"},
	{sdk.ErrConfig, "bad_options", http.StatusBadRequest, "Bad options"},
	{sdk.ErrLearnConfig, "bad_options", http.StatusBadRequest, "Bad options"},
	{sdk.ErrUnsupported, "unsupported", http.StatusBadRequest, "Not with this model"},
	{sdk.ErrUntrainable, "unsupported", http.StatusBadRequest, "Not with this model"},
	{sdk.ErrLimit, "limit", http.StatusRequestEntityTooLarge, "Beyond a limit"},
	{sdk.ErrProfileNotFound, "profile_not_found", http.StatusNotFound, "No such profile"},
	{sdk.ErrExampleNotFound, "example_not_found", http.StatusNotFound, "No such example"},
	{sdk.ErrRevisionNotFound, "revision_not_found", http.StatusNotFound, "No such revision"},
	{sdk.ErrConflict, "conflict", http.StatusConflict, "Changed meanwhile"},
	{sdk.ErrNoPopulation, "no_population", http.StatusConflict, "No population"},
	{sdk.ErrBusy, "training", http.StatusConflict, "A bank is being trained"},
	{errInternal, "internal", http.StatusInternalServerError, "Internal error"},
}

// kindOf is the first that fits.
func kindOf(err error) kind {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

// problem is an error as the caller is told it. What went wrong inside is for the log alone.
func (r *request) problem(err error) Problem {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(r.Context()), errDraining) {
		err = errDraining // and the caller is still there
	}
	k := kindOf(err)
	p := Problem{Type: explained + k.code, Title: k.title, Status: k.status, Detail: err.Error(), Instance: r.requestID,
		Code: k.code}
	if k.status == http.StatusInternalServerError {
		r.server.log.ErrorContext(r.Context(), "request failed", "request", r.requestID, "tenant", r.tenantName(),
			"route", r.route, "error", err)
		p.Detail = ""
	}
	var of *sdk.ProfileError
	if errors.As(err, &of) {
		p.Label = of.Label
		if of.Example >= 0 {
			p.Example = &of.Example
		}
	}
	return p
}

// fail answers an error.
func (r *request) fail(err error) {
	p := r.problem(err)
	header := r.w.Header()
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="xpeft"`)
	}
	r.write(p.Status, "application/problem+json", p)
}

func (r *request) write(code int, kind string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a value of package sdk that JSON has no words for
		r.server.log.ErrorContext(r.Context(), "answer cannot be written", "request", r.requestID, "error", err)
		code, kind = http.StatusInternalServerError, "application/problem+json"
		body, _ = json.Marshal(Problem{Type: explained + "internal", Title: "Internal error", Status: code,
			Instance: r.requestID, Code: "internal"})
	}
	r.code = code
	r.w.Header().Set("Content-Type", kind)
	r.w.WriteHeader(code)
	r.w.Write(append(body, '\n')) // an error means that the caller is gone
}
