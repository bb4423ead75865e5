package main

import (
	"bytes"
	"strings"
	"testing"
)

const examples = `
{"text": "the train to the exam is cancelled", "label": "urgent"}
{"text": "the train is late again", "label": "urgent"}
{"text": "platform change for your train", "label": "urgent"}
{"text": "new menu at the station's bakery", "label": "ignore"}
{"text": "half price on all cakes", "label": "ignore"}
{"text": "win a weekend at the lake", "label": "ignore"}
{"text": "please send the report when you can", "label": "later"}
{"text": "minutes of last week's meeting", "label": "later"}
{"text": "library books are due next month", "label": "later"}
`

// TestTriage runs the program as docs/embedding.md does, on the real encoder.
func TestTriage(t *testing.T) {
	t.Setenv("TRIAGE_DATA", t.TempDir()+"/data")
	call := func(in string, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), args, strings.NewReader(in), &out); err != nil {
			t.Fatalf("triage %s: %v", strings.Join(args, " "), err)
		}
		return out.String()
	}
	if got := call("", "predict", "ines", "the train is cancelled"); !strings.HasSuffix(got, "(base)\n") {
		t.Errorf("before learning: got %q, want an answer from the base", got)
	}
	if got := call(examples, "learn", "ines"); !strings.HasPrefix(got, "ines: revision 1,") {
		t.Errorf("learn: got %q, want revision 1", got)
	}
	if got := call("", "predict", "ines", "the train is cancelled"); !strings.HasSuffix(got, "(profile)\n") {
		t.Errorf("after learning: got %q, want an answer from the profile", got)
	}
}
