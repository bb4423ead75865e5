package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/xpeft/xpeft/examples/chatbot/wire"
	"github.com/xpeft/xpeft/sdk"
)

const (
	maxLearnBody   = 1 << 20
	maxPredictBody = 32 << 10
	learnTime      = 5 * time.Minute // a Learn also waits for those before it
	predictTime    = 10 * time.Second
	mostAsked      = 20
)

// server answers requests from one open folder, which is safe for concurrent use: there is no state
// here.
type server struct {
	profiles *sdk.Folder
	learning *sdk.LearnOptions
	log      *slog.Logger
}

// newServer is the handler of all routes. Nil options mean the SDK's defaults.
func newServer(p *sdk.Folder, learning *sdk.LearnOptions, most limits, log *slog.Logger) http.Handler {
	s := &server{profiles: p, learning: learning, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users/{id}/learn", s.atMost(most.learn, s.learn))
	mux.HandleFunc("POST /users/{id}/observe", s.atMost(most.observe, s.observe))
	mux.HandleFunc("GET /users/{id}/ask", s.atMost(most.ask, s.ask))
	mux.HandleFunc("POST /users/{id}/predict", s.atMost(most.predict, s.predict))
	mux.HandleFunc("DELETE /users/{id}", s.atMost(most.forget, s.forget))
	mux.HandleFunc("GET /stats", s.stats)
	mux.HandleFunc("GET /healthz",
		func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, map[string]bool{"ok": true}) })
	return mux
}

func (s *server) learn(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), learnTime)
	defer cancel()
	body, err := wire.DecodeLearn(http.MaxBytesReader(w, r.Body, maxLearnBody))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	examples := make([]sdk.Example, len(body.Examples))
	for i, e := range body.Examples {
		examples[i] = sdk.Example{Text: e.Text, Label: e.Label}
	}
	rep, err := s.profiles.Learn(ctx, r.PathValue("id"), examples, s.learning)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, rep)
}

// observe stores one example; the profile learns it in the background.
func (s *server) observe(w http.ResponseWriter, r *http.Request) {
	body, err := wire.DecodeObserve(http.MaxBytesReader(w, r.Body, maxPredictBody))
	if err == nil {
		err = s.profiles.Observe(r.Context(), r.PathValue("id"), sdk.Example{Text: body.Text, Label: body.Label})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ask answers with n of the texts that the bank keeps: those whose labels tell most about the user.
// The user's labels for them go to learn, which finds a place among people from one on; texts that
// the user gave no label to are named in skip, once each.
func (s *server) ask(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), predictTime)
	defer cancel()
	query := r.URL.Query()
	n, err := 3, error(nil)
	if given := query.Get("n"); given != "" {
		if n, err = strconv.Atoi(given); err != nil || n < 1 || n > mostAsked {
			s.fail(w, r, fmt.Errorf("%w: n is %q, want 1 to %d", wire.ErrBody, given, mostAsked))
			return
		}
	}
	asked, err := s.profiles.Ask(ctx, r.PathValue("id"), &sdk.AskOptions{N: n, Skipped: query["skip"]})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, wire.Questions{Questions: asked})
}

func (s *server) predict(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), predictTime)
	defer cancel()
	body, err := wire.DecodePredict(http.MaxBytesReader(w, r.Body, maxPredictBody))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	out, err := s.profiles.Predict(ctx, r.PathValue("id"), body.Text, nil)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, out)
}

func (s *server) forget(w http.ResponseWriter, r *http.Request) {
	if err := s.profiles.Forget(r.Context(), r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) stats(w http.ResponseWriter, r *http.Request) {
	st, err := s.profiles.Stats(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, r, st)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, v any) {
	s.write(w, r, http.StatusOK, v)
}

// fail answers an error. What went wrong inside is for the log, not for the caller.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, text := status(err), err.Error()
	// the caller is still there
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(r.Context()), errDraining) {
		code, text = http.StatusServiceUnavailable, errDraining.Error()
	}
	if code == http.StatusInternalServerError {
		s.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", r.Pattern, "error", err)
		text = http.StatusText(code)
	}
	s.write(w, r, code, wire.Error{Error: text})
}

func (s *server) write(w http.ResponseWriter, r *http.Request, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.log.ErrorContext(r.Context(), "answer cannot be written", "route", r.Pattern, "error", err)
		http.Error(w, `{"error": "internal error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(body, '\n')) // an error means that the caller is gone
}

// statusClosedRequest is nginx's code for a caller that went away; nobody reads it but the log.
const statusClosedRequest = 499

// status is the code of an error.
func status(err error) int {
	var tooLarge *http.MaxBytesError
	for _, c := range []struct {
		is   bool
		code int
	}{
		{errors.As(err, &tooLarge), http.StatusRequestEntityTooLarge},
		{errors.Is(err, context.Canceled), statusClosedRequest},
		{errors.Is(err, context.DeadlineExceeded), http.StatusGatewayTimeout},
		{errors.Is(err, wire.ErrBody), http.StatusBadRequest},
		{errors.Is(err, sdk.ErrUnknownLabel), http.StatusBadRequest},
		{errors.Is(err, sdk.ErrExample), http.StatusBadRequest},
		{errors.Is(err, sdk.ErrID), http.StatusBadRequest},
		{errors.Is(err, sdk.ErrLimit), http.StatusRequestEntityTooLarge},
		{errors.Is(err, sdk.ErrProfileNotFound), http.StatusNotFound},
		{errors.Is(err, sdk.ErrConflict), http.StatusConflict},
		{errors.Is(err, sdk.ErrNoPopulation), http.StatusConflict},
		{errors.Is(err, sdk.ErrClosed), http.StatusServiceUnavailable},
	} {
		if c.is {
			return c.code
		}
	}
	return http.StatusInternalServerError
}
