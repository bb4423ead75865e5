package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

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
