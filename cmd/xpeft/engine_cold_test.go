//go:build cgo

package main

import (
	"strings"
	"testing"
)

// TestColdStart: who answers for profiles that have not learned, and where a new one's training begins.
func TestColdStart(t *testing.T) {
	dir := learnedFolder(t)
	call(t, full, dir, `{"profile":"seen","text":"lunch?","label":"later"}`, "observe").want(t, exitOK)
	for _, c := range []struct{ profile, fallback, source string }{
		{"nobody", "base", "base"},
		{"nobody", "population", "population"},
		{"nobody", "nearest", "population"},
		{"seen", "error", "profile"},
		{"seen", "nearest", "nearest"},
		{"alice", "nearest", "profile"},
	} {
		rows := call(t, full, dir, "", "predict", "-p", c.profile, "--fallback", c.fallback, "--json", "hello").want(t, exitOK).rows(t)
		if len(rows) != 1 || rows[0]["source"] != c.source || (rows[0]["revision"] == 0.0) != (c.source != "profile") {
			t.Errorf("%s, --fallback %s: got %v, want an answer of %s", c.profile, c.fallback, rows, c.source)
		}
	}
	if out := call(t, full, dir, "", "predict", "-p", "nobody", "--fallback", "population", "hello").want(t, exitOK).out; !strings.Contains(out, "\t(population)\t") {
		t.Errorf("got %q, want a word of who answered", out)
	}
	for _, c := range []struct{ profile, start, want string }{{"seen", "nearest", "nearest"}, {"x", "population", "population"}, {"y", "fresh", "fresh"}, {"alice", "nearest", "profile"}} {
		rows := call(t, full, dir, examples(c.profile, 2), "learn", "--start", c.start, "--epochs", "1", "--json").want(t, exitOK).rows(t)
		if len(rows) != 1 || rows[0]["start"] != c.want {
			t.Errorf("%s, --start %s: got %v, want %s", c.profile, c.start, rows, c.want)
		}
	}
	call(t, full, dir, examples("z", 1), "learn", "--start", "profile").want(t, exitUsage)
}
