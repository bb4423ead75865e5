package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/sdk"
)

// Limits of a request.
const (
	MaxExamples = 500
	MaxText     = 4096 // bytes of a text; the encoder reads the first 256 tokens or so
	MaxLabel    = 256
)

// ErrBody is a body that is not what the request needs; the message says why.
var ErrBody = errors.New("bad body")

// Learn is the body of POST /users/{id}/learn.
type Learn struct {
	Examples []Example `json:"examples"`
}

// Example is a text and the label that the user gives it; one alone is the body of POST
// /users/{id}/observe.
type Example struct {
	Text  string `json:"text"`
	Label string `json:"label"`
}

// Predict is the body of POST /users/{id}/predict.
type Predict struct {
	Text string `json:"text"`
}

// Questions answers GET /users/{id}/ask.
type Questions struct {
	// the one that tells most first; fewer than were asked for: no others are left
	Questions []sdk.Question `json:"questions"`
}

// Error is the body of every answer that is not a success.
type Error struct {
	Error string `json:"error"`
}

// DecodeLearn reads and checks the body of a learn request.
func DecodeLearn(r io.Reader) (Learn, error) {
	var l Learn
	if err := decode(r, &l); err != nil {
		return Learn{}, err
	}
	if n := len(l.Examples); n < 1 || n > MaxExamples {
		return Learn{}, fmt.Errorf("%w: %d examples, want 1 to %d", ErrBody, n, MaxExamples)
	}
	for i, e := range l.Examples {
		if err := e.check(); err != nil {
			return Learn{}, fmt.Errorf("example %d: %w", i, err)
		}
	}
	return l, nil
}

// DecodeObserve reads and checks the body of an observe request.
func DecodeObserve(r io.Reader) (Example, error) {
	var e Example
	if err := decode(r, &e); err != nil {
		return Example{}, err
	}
	if err := e.check(); err != nil {
		return Example{}, err
	}
	return e, nil
}

func (e Example) check() error {
	if err := checkLength("text", e.Text, MaxText); err != nil {
		return err
	}
	return checkLength("label", e.Label, MaxLabel)
}

// DecodePredict reads and checks the body of a predict request.
func DecodePredict(r io.Reader) (Predict, error) {
	var p Predict
	if err := decode(r, &p); err != nil {
		return Predict{}, err
	}
	if err := checkLength("text", p.Text, MaxText); err != nil {
		return Predict{}, err
	}
	return p, nil
}

// decode reads exactly one JSON value whose fields are all known. The reader's own errors stay in
// the chain: an http.MaxBytesError is told apart.
func decode(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	if _, err := d.Token(); err == nil {
		return fmt.Errorf("%w: more than one JSON value", ErrBody)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: after the JSON value: %w", ErrBody, err)
	}
	return nil
}

func checkLength(name, s string, limit int) error {
	if len(s) < 1 || len(s) > limit {
		return fmt.Errorf("%w: a %s of %d bytes, want 1 to %d", ErrBody, name, len(s), limit)
	}
	return nil
}
