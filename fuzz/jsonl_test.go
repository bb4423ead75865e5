package fuzz

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/xpeft/xpeft/internal/jsonl"
)

// FuzzJSONL: any line is an error and nothing, or what is written and read again as the same; both
// readers see the same text in it.
func FuzzJSONL(f *testing.F) {
	for _, line := range []string{
		`{"profile": "alice", "text": "server down", "label": "urgent"}`,
		`{"text": "ü\u0000\ud800", "pair": "p", "value": -1.5e-7}`,
		`{"text": "a", "text": "b"}`,
		`{"TEXT": "a"}`,
		`{"text": null, "value": 1e999}`,
		`{"text": "a", "value": {"a": [[[[]]]]}}`,
		`{"author": 0, "text": "x", "category": "FOOD & DRINK"}`,
		"{\"text\": \"\xff\"}",
		`{"text": "a"}{`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := jsonl.Decode(data)
		fields, fieldsErr := jsonl.Fields(data)
		if fieldsErr != nil && fields != nil {
			t.Fatalf("got %v with the error %v", fields, fieldsErr)
		}
		if err != nil {
			if !reflect.DeepEqual(l, jsonl.Line{}) {
				t.Fatalf("got half a line %+v with the error %v", l, err)
			}
			return
		}
		if fieldsErr != nil || fields["text"] != l.Text || fields["profile"] != l.Profile {
			t.Fatalf("got %+v, and the fields %v, %v", l, fields, fieldsErr)
		}
		again, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := jsonl.Decode(again); err != nil || !reflect.DeepEqual(got, l) {
			t.Fatalf("got %+v, %v after a round trip, want %+v", got, err, l)
		}
	})
}
