package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

const (
	// heldEvents is how many events wait for a client that reads slowly. One that is further behind
	// is disconnected: it connects again, and asks for what it shows.
	heldEvents = 64
	// keepAlive is how often a quiet stream says that it is there, so that proxies keep it open.
	keepAlive = 15 * time.Second
	// eventTime is what a client has to take an event.
	eventTime = 10 * time.Second
)

// Events tells clients what happens to the profiles of one folder. Its OnLearned goes into the
// folder's options, and it itself into the Tenant. The zero value is ready to use.
type Events struct {
	mu        sync.Mutex
	listeners map[*listener]bool
}

// listener is one open stream.
type listener struct {
	profile string      // empty: all
	events  chan []byte // closed when the client is too far behind
}

// failed is the data of the event of that name.
type failed struct {
	Profile string `json:"profile"`
	Detail  string `json:"detail"`
}

// waiting says how many examples of a profile no training has seen.
type waiting struct {
	Profile string `json:"profile"`
	Waiting int    `json:"waiting"`
}

// OnLearned tells that a profile learned, or could not. It never waits.
func (e *Events) OnLearned(id string, report *sdk.Report, err error) {
	if err != nil {
		e.send(id, "failed", failed{id, kindOf(err).title})
		return
	}
	e.send(id, "learned", report)
}

// send hands an event to all who listen for the profile.
func (e *Events) send(id, name string, data any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.listeners) == 0 {
		return
	}
	body, err := json.Marshal(data)
	if err != nil {
		return // not of these types
	}
	event := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, body)
	for l := range e.listeners {
		if l.profile != "" && l.profile != id {
			continue
		}
		select {
		case l.events <- event:
		default:
			delete(e.listeners, l)
			close(l.events)
		}
	}
}

func (e *Events) listen(profile string) *listener {
	l := &listener{profile: profile, events: make(chan []byte, heldEvents)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listeners == nil {
		e.listeners = map[*listener]bool{}
	}
	e.listeners[l] = true
	return l
}

func (e *Events) leave(l *listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.listeners, l)
}

// events streams until the client goes, falls behind, or the server drains.
func (r *request) events() (any, error) {
	l := r.tenant.Events.listen(r.profile)
	defer r.tenant.Events.leave(l)
	control := http.NewResponseController(r.w)
	send := func(event []byte) bool {
		control.SetWriteDeadline(time.Now().Add(eventTime))
		_, err := r.w.Write(event)
		return err == nil && control.Flush() == nil
	}
	r.code = http.StatusOK
	r.w.Header().Set("Content-Type", "text/event-stream")
	r.w.Header().Set("X-Accel-Buffering", "no") // nginx: hand each event on at once
	r.w.WriteHeader(r.code)
	if r.Method == http.MethodHead {
		return answered, nil
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	event, open := []byte("retry: 2000\n\n"), true
	for open && send(event) {
		select {
		case event, open = <-l.events:
		case <-tick.C:
			event = []byte(":\n\n")
		case <-r.Context().Done():
			open = false
		case <-r.server.draining:
			open = false
		}
	}
	return answered, nil
}
