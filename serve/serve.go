package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// Tenant is one open folder, and who may use it.
type Tenant struct {
	Name   string // in log lines
	Folder *sdk.Folder
	Tokens []TokenHash // of bearer tokens that open it; none: see Options.Trust
	Events *Events     // whose OnLearned is in the folder's options; nil: what learns in the background is not told
	// Metrics answers GET /metrics of who has a token of the tenant; nil: there is no such path.
	Metrics http.Handler
	// Requests counts the tenant's requests, for Metrics to tell; nil: nobody asks.
	Requests *Requests
	Limits   Limits
}

// TokenHash is the SHA-256 of a bearer token. Who reads it cannot ask with it.
type TokenHash [sha256.Size]byte

// HashToken is the hash of a token.
func HashToken(token string) TokenHash { return sha256.Sum256([]byte(token)) }

// NewToken makes a token of 256 random bits, so that its hash needs neither salt nor time.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Options of a Server. Nil, and every zero field, means the default.
type Options struct {
	// Logger gets a line for each request, without the profile's id; default: silence.
	Logger *slog.Logger
	// Trust serves the one tenant that has no tokens to whoever reaches the listener. Without it
	// it is served on this machine's own addresses only, and to requests that name it so.
	Trust bool
	// Drain is how long requests in progress go on once the server is to end; default 25 s.
	// Then they are told so, within 5 s more.
	Drain time.Duration
	// Notice is how long /readyz says 503 before the listener closes; default 0.
	Notice time.Duration
}

// ErrConfig says that tenants or options are invalid; the message lists every fault.
var ErrConfig = errors.New("serve: bad configuration")

// Server answers the HTTP API.
type Server struct {
	tenants  []*tenant
	open     bool // the one tenant has no tokens
	options  Options
	log      *slog.Logger
	mux      *http.ServeMux
	draining chan struct{} // closed when it begins
	drain    sync.Once
	reached  atomic.Int64  // requests
	bodyTime time.Duration // for a body to come; tests wait less
}

// tenant is a Tenant with its limits at work.
type tenant struct {
	Tenant
	slots   [classes]chan struct{}
	buckets *buckets
}

// New makes a server of tenants that each have tokens, or of one that has none.
func New(tenants []Tenant, o *Options) (*Server, error) {
	s := &Server{draining: make(chan struct{}), bodyTime: bodyTime}
	if o != nil {
		s.options = *o
	}
	if s.options.Drain == 0 {
		s.options.Drain = 25 * time.Second
	}
	if s.log = s.options.Logger; s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	faults, tokens := []string{}, map[TokenHash]bool{}
	for i, given := range tenants {
		t, wrong := newTenant(given, tokens)
		if len(t.Tokens) == 0 && len(tenants) > 1 {
			wrong = append(wrong, "no token")
		}
		for _, fault := range wrong {
			faults = append(faults, fmt.Sprintf("tenant %d: %s", i, fault))
		}
		s.tenants = append(s.tenants, t)
	}
	if len(tenants) == 0 {
		faults = append(faults, "no tenants")
	}
	if s.options.Drain < 0 || s.options.Notice < 0 {
		faults = append(faults, "Drain or Notice is negative")
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrConfig, strings.Join(faults, "; "))
	}
	s.open = len(tokens) == 0
	s.mux = s.routes()
	return s, nil
}

// newTenant puts a Tenant's limits to work, and its tokens among those of all.
func newTenant(given Tenant, tokens map[TokenHash]bool) (t *tenant, faults []string) {
	t = &tenant{Tenant: given}
	if faults = t.Limits.setDefaults(); t.Folder == nil {
		faults = append(faults, "no folder")
	}
	for _, token := range t.Tokens {
		if token == HashToken("") { // as of a variable that was not set
			faults = append(faults, "the hash of an empty token")
		}
		if tokens[token] {
			faults = append(faults, "a token that is given twice")
		}
		tokens[token] = true
	}
	if t.Events == nil {
		t.Events = &Events{}
	}
	if t.Requests == nil {
		t.Requests = &Requests{}
	}
	t.slots, t.buckets = t.Limits.slots(), newBuckets(t.Limits)
	return t, faults
}

// tenantOf finds whose token a request bears. It compares with all tokens, each in constant time.
func (s *Server) tenantOf(r *http.Request) (*tenant, error) {
	if s.open {
		if !s.options.Trust && !isLocal(r.Host) { // a name that a web page made point here
			return nil, errHost
		}
		return s.tenants[0], nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash, found := HashToken(strings.TrimSpace(token)), (*tenant)(nil)
	for _, t := range s.tenants {
		for _, known := range t.Tokens {
			if subtle.ConstantTimeCompare(hash[:], known[:]) == 1 {
				found = t
			}
		}
	}
	if found == nil || !strings.EqualFold(scheme, "Bearer") {
		return nil, errToken
	}
	return found, nil
}

// cutOff is what requests have, after the time to drain, to say that they were cut off. A
// container's own limit should be longer than both together.
const cutOff = 5 * time.Second

// Run answers on the listener until ctx is done, then takes no new connection and waits for the
// requests in progress; streams of events end at once. Requests that are not done after
// Options.Drain have their contexts cancelled: a Learn then ends within a step, with nothing kept,
// and its caller gets 503. h is a handler that serves s beside paths of its own; nil means s alone.
func (s *Server) Run(ctx context.Context, listener net.Listener, h http.Handler) error {
	if at := listener.Addr(); s.open && !s.options.Trust && at.Network() != "unix" && !isLocal(at.String()) {
		return fmt.Errorf("%w: without tokens only this machine's own addresses are served, not %s", ErrConfig, at)
	}
	if h == nil {
		h = s
	}
	requests, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	srv := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute, // both until a request's route is known
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10, // questions to skip are in them
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.drain.Do(func() { close(s.draining) })
	s.log.Info("draining", "notice", s.options.Notice, "limit", s.options.Drain)
	time.Sleep(s.options.Notice)
	defer time.AfterFunc(s.options.Drain, func() { cancel(errDraining) }).Stop()
	limit, stop := context.WithTimeout(context.Background(), s.options.Drain+cutOff)
	defer stop()
	err := srv.Shutdown(limit)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if ended := <-ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	s.log.Info("drained", "requests", s.reached.Load())
	return err
}
