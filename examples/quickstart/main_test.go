package main

import (
	"bytes"
	"os"
	"testing"
)

func TestRun(t *testing.T) {
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: run `eval \"$(scripts/env.sh)\"` first")
	}
	if err := run(t.Context(), model); err != nil {
		t.Fatal(err)
	}
}

// TestShort: the first program that somebody reads fits on one screen or two.
func TestShort(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(source, []byte("\n")); got > 60 {
		t.Errorf("got %d lines, want at most 60", got)
	}
}
