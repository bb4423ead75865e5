package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestFleet runs the program, on the real encoder.
func TestFleet(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), os.Getenv("XPEFT_MODEL"), false, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"taught on bot1, answered on bot2", "later (taught)", "urgent (taught)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", out.String(), want)
		}
	}
}
