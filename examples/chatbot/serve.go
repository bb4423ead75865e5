package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// What requests in progress have after the signal: drainTime to go on, then answerTime to say that
// they were cut off. A container's own limit should be longer than both together.
const (
	drainTime  = 25 * time.Second
	answerTime = 5 * time.Second
)

// errDraining is the cause of the contexts that are cancelled at the end of drainTime.
var errDraining = errors.New("the server is ending")

// serve answers on the listener until ctx is done, then takes no new connection and waits for the
// requests in progress. Those that are not done after the time to drain have their contexts
// cancelled: a Learn then ends within a step, with nothing kept, and its caller gets 503.
func serve(ctx context.Context, listener net.Listener, h http.Handler, log *slog.Logger) error {
	return serveUntil(ctx, listener, h, log, drainTime)
}

func serveUntil(ctx context.Context, listener net.Listener, h http.Handler, log *slog.Logger,
	drain time.Duration) error {
	requests, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var reached atomic.Int64
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			reached.Add(1)
			h.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("draining", "limit", drain)
	defer time.AfterFunc(drain, func() { cancel(errDraining) }).Stop()
	limit, stop := context.WithTimeout(context.Background(), drain+answerTime)
	defer stop()
	err := srv.Shutdown(limit)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if ended := <-ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	log.Info("drained", "requests", reached.Load())
	return err
}
