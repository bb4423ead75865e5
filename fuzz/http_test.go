package fuzz

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/xpeft/xpeft/examples/chatbot/wire"
)

// FuzzHTTPBodies: any body is ErrBody and nothing, or a request within the limits that is written
// and read again as the same.
func FuzzHTTPBodies(f *testing.F) {
	for _, body := range []string{
		`{"examples": [{"text": "the server is down", "label": "urgent"}, {"text": "party!", "label": "ignore"}]}`,
		`{"text": "naïve café 北京 \ud800 \u0000"}`,
		`{"text": "a", "text": "b"}`,
		`{"TEXT": "a"}`,
		`{"examples": null}`,
		`{"text": "a"} `,
		`{"text": "a"}{`,
		"{\"text\": \"\xff\xfe\"}",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		learn, err := wire.DecodeLearn(bytes.NewReader(body))
		if checkBody(t, learn, err) {
			again, err := wire.DecodeLearn(bytes.NewReader(encodeBody(t, learn)))
			if err != nil || !reflect.DeepEqual(again, learn) {
				t.Fatalf("got %+v, %v after a round trip, want %+v", again, err, learn)
			}
			for _, e := range learn.Examples {
				if len(e.Text) > wire.MaxText || len(e.Label) > wire.MaxLabel || e.Text == "" || e.Label == "" {
					t.Fatalf("got an example of %d and %d bytes", len(e.Text), len(e.Label))
				}
			}
		}
		observe, err := wire.DecodeObserve(bytes.NewReader(body))
		if checkBody(t, observe, err) {
			again, err := wire.DecodeObserve(bytes.NewReader(encodeBody(t, observe)))
			if err != nil || again != observe {
				t.Fatalf("got %+v, %v after a round trip, want %+v", again, err, observe)
			}
		}
		predict, err := wire.DecodePredict(bytes.NewReader(body))
		if checkBody(t, predict, err) {
			again, err := wire.DecodePredict(bytes.NewReader(encodeBody(t, predict)))
			if err != nil || again != predict {
				t.Fatalf("got %+v, %v after a round trip, want %+v", again, err, predict)
			}
		}
	})
}

// checkBody is whether a body was read; if not, the error must say so and the value be empty.
func checkBody(t *testing.T, v any, err error) bool {
	if err == nil {
		return true
	}
	if !errors.Is(err, wire.ErrBody) || !reflect.ValueOf(v).IsZero() {
		t.Fatalf("got %+v, %v, want nothing and ErrBody", v, err)
	}
	return false
}

func encodeBody(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("what was read cannot be written: %v", err)
	}
	return b
}
