package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// Limits of a request. Beside them a body is limited in bytes before it gets here.
const (
	MaxExamples = 500
	MaxRequests = 256 // of a Batch: some seconds of two cores' work
	MaxTexts    = 256 // of an Embed
)

// ErrBody says that a body is not what the request needs; the message says why.
var ErrBody = errors.New("bad body")

// Learn is the body of POST …/learn: examples and the options of package sdk.
type Learn struct {
	Examples     []sdk.Example      `json:"examples"`
	Head         sdk.HeadKind       `json:"head,omitempty"`
	Labels       []string           `json:"labels,omitempty"`
	AddLabels    bool               `json:"add_labels,omitempty"`
	DropExamples bool               `json:"drop_examples,omitempty"`
	Force        bool               `json:"force,omitempty"`
	Effort       learner.Effort     `json:"effort,omitempty"`
	ClassWeights map[string]float64 `json:"class_weights,omitempty"`
}

// Options are those of the Learn.
func (l Learn) Options() *sdk.LearnOptions {
	return &sdk.LearnOptions{Head: l.Head, Labels: l.Labels, AddLabels: l.AddLabels, DropExamples: l.DropExamples,
		Force: l.Force, Effort: l.Effort, ClassWeights: l.ClassWeights}
}

// Observe is the body of POST …/observe.
type Observe struct {
	Examples []sdk.Example `json:"examples"`
}

// Predict is the body of POST …/predict.
type Predict struct {
	Text           string       `json:"text"`
	Pair           string       `json:"pair,omitempty"`
	Fallback       sdk.Fallback `json:"fallback,omitempty"`
	MinProbability float64      `json:"min_probability,omitempty"`
	// from which probability on a label is given, where labels are not exclusive
	Thresholds map[string]float64 `json:"thresholds,omitempty"`
}

// Options are those of the Predict.
func (p Predict) Options() *sdk.PredictOptions {
	return &sdk.PredictOptions{Pair: p.Pair, Fallback: p.Fallback, MinProbability: p.MinProbability,
		Thresholds: p.Thresholds}
}

// Request is one row of a Batch.
type Request struct {
	Profile string `json:"profile"`
	Text    string `json:"text"`
	Pair    string `json:"pair,omitempty"`
}

// Batch is the body of POST /v1/predict.
type Batch struct {
	Requests       []Request    `json:"requests"`
	Fallback       sdk.Fallback `json:"fallback,omitempty"`
	MinProbability float64      `json:"min_probability,omitempty"`
	// from which probability on a label is given, where labels are not exclusive
	Thresholds map[string]float64 `json:"thresholds,omitempty"`
}

// Rows are the requests as package sdk takes them.
func (b Batch) Rows() []sdk.Request {
	rows := make([]sdk.Request, len(b.Requests))
	for i, r := range b.Requests {
		rows[i] = sdk.Request{Profile: r.Profile, Text: r.Text, Pair: r.Pair, Fallback: b.Fallback,
			MinProbability: b.MinProbability, Thresholds: b.Thresholds}
	}
	return rows
}

// Thumb is the body of POST …/confirm and …/reject.
type Thumb struct {
	Text  string `json:"text"`
	Label string `json:"label"`
}

// Rank is the body of POST …/rank.
type Rank struct {
	Text       string       `json:"text"` // that they are for; may be empty
	Candidates []string     `json:"candidates"`
	Fallback   sdk.Fallback `json:"fallback,omitempty"`
}

// Chose is the body of POST …/chose.
type Chose struct {
	Text       string   `json:"text"` // that they were offered for; may be empty
	Candidates []string `json:"candidates"`
	Chosen     string   `json:"chosen"`
}

// Embed is the body of POST /v1/embed.
type Embed struct {
	Texts []string `json:"texts"`
}

// ForgetExample is the body of POST …/examples/forget: a text, a pair, or a choice.
type ForgetExample struct {
	Text       string   `json:"text"`
	Pair       string   `json:"pair,omitempty"`
	Candidates []string `json:"candidates,omitempty"` // of a choice
}

// Options are those of the ForgetExample.
func (f ForgetExample) Options() *sdk.ForgetExampleOptions {
	return &sdk.ForgetExampleOptions{Pair: f.Pair, Candidates: f.Candidates}
}

// Rollback is the body of POST …/rollback.
type Rollback struct {
	Revision uint64 `json:"revision,omitempty"` // 0: the one before the current
}

// The others have nothing to count.
func (l Learn) check() error   { return count("examples", len(l.Examples), MaxExamples) }
func (o Observe) check() error { return count("examples", len(o.Examples), MaxExamples) }
func (b Batch) check() error   { return count("requests", len(b.Requests), MaxRequests) }
func (e Embed) check() error   { return count("texts", len(e.Texts), MaxTexts) }

func count(what string, n, most int) error {
	switch {
	case n == 0:
		return fmt.Errorf("%w: no %s", ErrBody, what)
	case n > most:
		return fmt.Errorf("%w: %d %s in one request, at most %d", sdk.ErrLimit, n, what, most)
	}
	return nil
}

// Decode reads a body, one of those above: exactly one JSON object whose fields are all known.
func Decode[T any](data []byte) (body T, err error) {
	if !utf8.Valid(data) { // encoding/json would read other texts and ids than were sent
		return body, fmt.Errorf("%w: not UTF-8", ErrBody)
	}
	if err := object(data, &body); err != nil {
		return *new(T), fmt.Errorf("%w: %w", ErrBody, err)
	}
	if b, ok := any(body).(interface{ check() error }); ok {
		if err := b.check(); err != nil {
			return *new(T), err
		}
	}
	return body, nil
}

func object(data []byte, v any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return errors.New("not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON object is cut off")
	} else if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something behind the JSON object")
	}
	return nil
}
