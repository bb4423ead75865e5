package main

import (
	"net/http"

	"github.com/xpeft/xpeft/examples/chatbot/wire"
)

// limits are how many requests of each route may be in the server at once. What waits holds memory
// and a connection, and makes everybody who comes later wait longer; beyond the limit a caller is
// told at once to come back. Routes have limits of their own, so that Learns, which wait for each
// other, never keep Predicts out.
type limits struct{ predict, observe, ask, learn, forget int }

// defaults: two cores answer some 180 short texts a second, so 256 waiting ones are answered well
// within predictTime. A waiting Learn may take seconds.
var defaults = limits{predict: 256, observe: 64, ask: 16, learn: 16, forget: 64}

// atMost lets n requests into h at once and answers 429 to the others.
func (s *server) atMost(n int, h http.HandlerFunc) http.HandlerFunc {
	slots := make(chan struct{}, n)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			h(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			s.write(w, r, http.StatusTooManyRequests, wire.Error{Error: "too many requests at once"})
		}
	}
}
