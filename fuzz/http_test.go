package fuzz

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/xpeft/xpeft/internal/wire"
	"github.com/xpeft/xpeft/sdk"
)

// FuzzHTTPBodies: any body is an error that says whose fault it is, and nothing, or a request that
// is written and read again as the same.
func FuzzHTTPBodies(f *testing.F) {
	for _, body := range []string{
		`{"examples": [{"text": "the server is down", "label": "urgent"}, {"text": "party!", "label": "ignore"}]}`,
		`{"examples": [{"text": "one", "value": 1e308, "weight": 0.5}], "head": "number", "class_weights": {"a": 2}}`,
		`{"text": "naïve café 北京 \ud800 \u0000"}`,
		`{"text": "a", "text": "b"}`,
		`{"TEXT": "a"}`,
		`{"examples": null}`,
		`{"text": "a"} `,
		`{"text": "a"}{`,
		"{\"text\": \"\xff\xfe\"}",
		`{"requests": [{"profile": "ann", "text": "hi"}], "fallback": "base", "min_probability": 0.5}`,
		`{"text": "hi", "candidates": ["a", "b"], "chosen": "a"}`,
		`{"texts": ["a"]}`,
		`{"revision": 18446744073709551615}`,
		`{"text": "hi", "label": "later"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if l, ok := checkBody[wire.Learn](t, body); ok && (len(l.Examples) < 1 || len(l.Examples) > wire.MaxExamples) {
			t.Fatalf("got %d examples", len(l.Examples))
		}
		checkBody[wire.Observe](t, body)
		checkBody[wire.Predict](t, body)
		if b, ok := checkBody[wire.Batch](t, body); ok && len(b.Rows()) > wire.MaxRequests {
			t.Fatalf("got %d requests", len(b.Requests))
		}
		checkBody[wire.Thumb](t, body)
		checkBody[wire.Rank](t, body)
		checkBody[wire.Chose](t, body)
		checkBody[wire.Embed](t, body)
		checkBody[wire.ForgetExample](t, body)
		checkBody[wire.Rollback](t, body)
	})
}

// checkBody is a body that was read, and whether it was.
func checkBody[T any](t *testing.T, body []byte) (T, bool) {
	got, err := wire.Decode[T](body)
	if err != nil {
		if !errors.Is(err, wire.ErrBody) && !errors.Is(err, sdk.ErrLimit) || !reflect.ValueOf(got).IsZero() {
			t.Fatalf("got %+v, %v, want nothing and ErrBody or ErrLimit", got, err)
		}
		return got, false
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	again, err := wire.Decode[T](text)
	if err != nil || !reflect.DeepEqual(again, got) {
		// an empty list is written as none
		if twice, err2 := json.Marshal(again); err != nil || err2 != nil || string(twice) != string(text) {
			t.Fatalf("got %+v, %v after a round trip, want %+v", again, err, got)
		}
	}
	return got, true
}
