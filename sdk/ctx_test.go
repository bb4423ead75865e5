package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestEndedContext: no call that can block goes on when its ctx has ended, and Create leaves
// nothing behind.
func TestEndedContext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	c := small(t)
	p, err := Create(context.Background(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	mustLearn(t, p, "ann", examples(12, 0), forced())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	other := filepath.Join(t.TempDir(), "other")
	for name, call := range map[string]func() error{
		"Create":  func() error { _, err := Create(ctx, other, c); return err },
		"Open":    func() error { _, err := Open(ctx, dir, &Options{}); return err },
		"Profile": func() error { _, err := p.Profile(ctx, "ann"); return err },
		"Profiles": func() error {
			for _, err := range p.Profiles(ctx, nil) {
				return err
			}
			return nil
		},
		"History": func() error { _, err := p.History(ctx, "ann"); return err },
		"Labels":  func() error { _, err := p.Labels(ctx); return err },
		"Stats":   func() error { _, err := p.Stats(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Create left a folder (%v)", err)
	}
}

// TestPredictionJSON: answers of labels, of a number and errors have the fields that they need.
func TestPredictionJSON(t *testing.T) {
	for want, p := range map[string]Prediction{
		`{"profile":"ann","label":"a","model":"a","margin":0.5,"probabilities":[{"label":"a","p":0.75}],` +
			`"source":"profile","revision":2}`: {Profile: "ann", Label: "a", Model: "a", Margin: 0.5,
			Probabilities: []Probability{{"a", 0.75}}, Source: SourceProfile, Revision: 2},
		`{"profile":"ann","value":0,"source":"profile","revision":1,"truncated":true}`: {Profile: "ann",
			Value: Number(0), Source: SourceProfile, Revision: 1, Truncated: true},
		`{"profile":"bob","revision":0}`: {Profile: "bob", Err: ErrProfileNotFound},
	} {
		if got, err := json.Marshal(p); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}
