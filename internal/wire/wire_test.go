package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/sdk"
)

func TestDecode(t *testing.T) {
	got, err := Decode[Learn]([]byte(` {"examples": [{"text": "hi", "label": "later", "weight": 2}], "force": true}` +
		"\n"))
	want := Learn{Examples: []sdk.Example{{Text: "hi", Label: "later", Weight: 2}}, Force: true}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestBadBodies(t *testing.T) {
	many := strings.Repeat(`{"text":"a","label":"b"},`, MaxExamples)
	for name, body := range map[string]string{
		"empty":             "",
		"cut":               `{"examples": [{"text": "hi", "lab`,
		"not JSON":          "text=hi",
		"unknown field":     `{"examples": [{"text": "hi", "label": "later", "wight": 2}]}`,
		"another field":     `{"texts": []}`,
		"a list":            `[{"text": "hi", "label": "later"}]`,
		"two values":        `{"examples": [{"text": "hi", "label": "later"}]} {}`,
		"a tail":            `{"examples": [{"text": "hi", "label": "later"}]} x`,
		"null":              `null`,
		"no examples":       `{"examples": []}`,
		"text of a number":  `{"examples": [{"text": 1, "label": "later"}]}`,
		"not UTF-8":         "{\"examples\": [{\"text\": \"\xff\", \"label\": \"later\"}]}",
		"a huge number":     `{"examples": [{"text": "hi", "value": 1e999}]}`,
		"nested":            strings.Repeat("[", 20_000),
		"nested in a field": `{"examples": ` + strings.Repeat("[", 20_000),
	} {
		if got, err := Decode[Learn]([]byte(body)); !errors.Is(err, ErrBody) || got.Examples != nil {
			t.Errorf("%s: got %v, %v, want ErrBody", name, got, err)
		}
	}
	body := `{"examples": [` + many + `{"text":"a","label":"b"}]}`
	if got, err := Decode[Observe]([]byte(body)); !errors.Is(err, sdk.ErrLimit) || got.Examples != nil {
		t.Errorf("too many examples: got %d, %v, want ErrLimit", len(got.Examples), err)
	}
}
