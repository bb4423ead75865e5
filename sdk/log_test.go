package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

// logbook is a writer for concurrent lines.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestLog does what is logged, and wants an event for each, and in none of them who it was or what
// they said.
func TestLog(t *testing.T) {
	ctx := context.Background()
	var book logbook
	c := small(t)
	c.Options.Logger = slog.New(slog.NewJSONHandler(&book, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Options.ObserveEvery = 4
	p := create(t, c)
	const id, text = "an-id-nobody-logs", "a text that nobody logs"
	mustLearn(t, p, id, append(examples(8, 0), Example{Text: text, Label: "urgent"}), forced())
	mustLearn(t, p, id, examples(8, 1), forced())
	if _, err := p.Rollback(ctx, id, nil); err != nil {
		t.Fatal(err)
	}
	for _, e := range examples(4, 2) {
		if err := p.Observe(ctx, id, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	mustPredict(t, p, id, text)
	var b bytes.Buffer
	if _, err := p.Export(ctx, &b, &ExportOptions{IDs: []string{id}, Examples: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Import(ctx, &b, &ImportOptions{Policy: Overwrite}); err != nil {
		t.Fatal(err)
	}
	if err := p.Forget(ctx, id); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, p.dir, c.Options)
	var events []string
	for line := range strings.Lines(book.b.String()) {
		var event struct{ Msg string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event.Msg)
		for _, secret := range []string{id, text, "server is down", "urgent"} {
			if strings.Contains(line, secret) {
				t.Errorf("%q is in the log: %s", secret, line)
			}
		}
	}
	for _, want := range []string{"learned", "rolled back", "exported", "imported", "forgot a profile", "closed",
		"opened"} {
		if !slices.Contains(events, want) {
			t.Errorf("no event %q in %q", want, events)
		}
	}
}
