package main

import (
	"strings"
	"testing"
)

func TestLearnBar(t *testing.T) {
	dir := learnedFolder(t)
	out, shown := callOnTerminal(t, full, dir, examples("alice", 6), "learn", "--epochs", "2", "--json")
	if !strings.Contains(shown, "alice ") {
		t.Errorf("stderr on a terminal: got %q, want a bar with the profile", shown)
	}
	if !strings.HasPrefix(out, `{"profile":"alice"`) {
		t.Errorf("stdout: got %q, want the report alone", out)
	}
}
