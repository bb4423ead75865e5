package jsonl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFields(t *testing.T) {
	got, err := Fields([]byte(` {"id": 12345678, "text": "a\u00fc", "no": null, "big": 1e999, "yes": true, "Text": "other"} `))
	want := map[string]string{"id": "12345678", "text": "aü", "big": "1e999", "yes": "true", "Text": "other"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestHostile: what both readers refuse, and in which words. Decode's own refusals are tested where
// the lines are read.
func TestHostile(t *testing.T) {
	deep := strings.Repeat("[", 500_000)
	for name, test := range map[string]struct{ text, want string }{
		"nothing":      {"", "does not end"},
		"blank":        {"  ", "does not end"},
		"null":         {"null", "not a JSON object"},
		"deep":         {deep, "not a JSON object"},
		"deep value":   {`{"text":` + deep, "exceeded max depth"},
		"deep unknown": {`{"x":` + deep + strings.Repeat("]", 500_000) + `}`, "exceeded max depth"},
		"an object":    {`{"text":{"a":1}}`, `"text": `},
		"an array":     {`{"text":[1]}`, `"text": `},
		"twice":        {`{"text":"a","text":"a"}`, `field "text" is there twice`},
		"escaped":      {`{"text":"a","te\u0078t":"a"}`, `field "text" is there twice`},
		"cut":          {`{"text":"a"`, "does not end"},
		"cut key":      {`{"te`, "does not end"},
		"a number":     {`{"text":"a",1:2}`, "invalid character"},
		"not UTF-8":    {"{\"text\":\"\xff\"}", "not UTF-8"},
		"a second":     {`{"text":"a"} {}`, "more than one JSON object"},
		"a NUL behind": {"{\"text\":\"a\"}\x00", "more than one JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Decode([]byte(test.text))
			if err == nil || !cmp.Equal(l, Line{}) {
				t.Errorf("Decode: got %+v, %v, want an error and nothing", l, err)
			}
			f, err := Fields([]byte(test.text))
			if err == nil || f != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Fields: got %v, %v, want the error %q and nothing", f, err, test.want)
			}
		})
	}
}

// TestCut cuts a line everywhere and flips every bit: an error and nothing, or a line.
func TestCut(t *testing.T) {
	whole := []byte(`{"profile":"ü","text":"a b","pair":"p","value":-1.5e3,"rejected":true,"weight":2.5}`)
	cuts, flips := 0, 0
	for n := range whole {
		if l, err := Decode(whole[:n]); err == nil || !cmp.Equal(l, Line{}) {
			t.Errorf("cut at %d: got %+v, %v, want an error and nothing", n, l, err)
		}
		cuts++
		for bit := range 8 {
			c := append([]byte(nil), whole...)
			c[n] ^= 1 << bit
			if l, err := Decode(c); (err == nil) == (cmp.Equal(l, Line{})) {
				t.Errorf("flip of byte %d, bit %d: got %+v, %v, want one of both", n, bit, l, err)
			}
			flips++
		}
	}
	t.Logf("%d cuts, %d flips", cuts, flips)
}
