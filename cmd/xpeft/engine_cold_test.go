package main

import (
	"strings"
	"testing"
)

// TestColdStart: who answers for profiles that have not learned, where a training of masks begins
// (anew, unless no example is stored), and what is said to scripts that ask for what is gone.
func TestColdStart(t *testing.T) {
	dir := learnedFolder(t)
	call(t, full, dir, `{"profile":"seen","text":"lunch?","label":"later"}`, "observe").want(t, exitOK)
	for _, c := range []struct{ profile, fallback, source string }{
		{"nobody", "base", "base"},
		{"seen", "error", "profile"},
		{"seen", "base", "profile"},
		{"alice", "base", "profile"},
	} {
		rows := call(t, full, dir, "", "predict", "-p", c.profile, "--fallback", c.fallback, "--json",
			"hello").want(t, exitOK).rows(t)
		if len(rows) != 1 || rows[0]["source"] != c.source || (rows[0]["revision"] == 0.0) != (c.source != "profile") {
			t.Errorf("%s, --fallback %s: got %v, want an answer of %s", c.profile, c.fallback, rows, c.source)
		}
	}
	if out := call(t, full, dir, "", "predict", "-p", "nobody", "--fallback", "base", "hello").want(t,
		exitOK).out; !strings.Contains(out, "\t(base)\t") {
		t.Errorf("got %q, want a word of who answered", out)
	}
	for _, c := range []struct{ profile, drop, want string }{{"seen", "false", "fresh"}, {"x", "true", "fresh"},
		{"x", "true", "profile"}, {"alice", "false", "fresh"}, {"alice", "false", "fresh"}} {
		rows := call(t, full, dir, examples(c.profile, 2), "learn", "--epochs", "1", "--force",
			"--drop-examples="+c.drop, "--json").want(t, exitOK).rows(t)
		if len(rows) != 1 || rows[0]["start"] != c.want {
			t.Errorf("%s: got %v, want %s", c.profile, rows, c.want)
		}
	}
	if r := call(t, full, dir, "", "predict", "-p", "seen", "--fallback", "nearest", "hello").want(t,
		exitUsage); !strings.Contains(r.err, "want ") {
		t.Errorf("got %q, want a word of what to use", r.err)
	}
}
