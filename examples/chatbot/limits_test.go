package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestTooMany: beyond the limit of a route a request is answered 429 at once, the others of it are
// answered, and other routes do not care.
func TestTooMany(t *testing.T) {
	s := &server{log: slog.New(slog.DiscardHandler)}
	entered, leave := make(chan bool), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", s.atMost(2,
		func(w http.ResponseWriter, r *http.Request) { entered <- true; <-leave; w.WriteHeader(204) }))
	mux.HandleFunc("GET /other", s.atMost(1, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }))
	b := start(t, mux)
	get := func(path string) string {
		resp, err := http.Get(b.url + path)
		if err != nil {
			return err.Error()
		}
		resp.Body.Close()
		return fmt.Sprint(resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	slow := make(chan string, 3)
	for range 2 {
		go func() { slow <- get("/slow") }()
		<-entered
	}
	if got := get("/slow"); got != "4291" {
		t.Errorf("the third: got %s, want 429 and to come back in a second", got)
	}
	if got := get("/other"); got != "204" {
		t.Errorf("another route: got %s, want 204", got)
	}
	close(leave)
	for range 2 {
		if got := <-slow; got != "204" {
			t.Errorf("within the limit: got %s, want 204", got)
		}
	}
	go func() { <-entered }()
	if got := get("/slow"); got != "204" {
		t.Errorf("afterwards: got %s, want 204", got)
	}
}

// TestDrainEnds: a request that is not done when the time to drain is over is answered 503, not cut
// off.
func TestDrainEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s, entered := &server{log: log}, make(chan bool)
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		s.fail(w, r, fmt.Errorf("sdk: learn: %w", r.Context().Err()))
	})
	ctx, stop := context.WithCancel(context.Background())
	done, code := make(chan error, 1), make(chan int, 1)
	go func() { done <- serveUntil(ctx, listener, endless, log, 50*time.Millisecond) }()
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			t.Error(err)
			code <- 0
			return
		}
		resp.Body.Close()
		code <- resp.StatusCode
	}()
	<-entered
	stop()
	if got := <-code; got != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", got)
	}
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
}
