//go:build cgo

package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

var labels = []string{"urgent", "later", "ignore"}

func create(t testing.TB, c Config) *SDK {
	t.Helper()
	if c.Model == "" {
		c.Model = golden.Model(t)
	}
	if c.Labels == nil {
		c.Labels = labels
	}
	p, err := Create(t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClean(t, p) })
	return p
}

// closeClean closes p and fails if a tensor is left.
func closeClean(t testing.TB, p *SDK) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if n := p.engine.Live(); n != 0 {
		t.Errorf("got %d live tensors after Close, want 0", n)
	}
}

func examples(n int) []Example {
	texts := map[string][]string{
		"urgent": {"the server is down", "production database unreachable", "the site returns errors for everyone", "disk is full on the main host"},
		"later":  {"please review my draft", "can we plan the trip to the lake", "your invoice is attached", "the library book is due next month"},
		"ignore": {"win a free phone now", "celebrity couple splits up", "huge discount on shoes", "the home team lost again"},
	}
	var out []Example
	for i := range n {
		l := labels[i%3]
		out = append(out, Example{Text: fmt.Sprintf("%s %d", texts[l][i/3%4], i), Label: l})
	}
	return out
}

func TestMainThread(t *testing.T) {
	ctx := context.Background()
	p := create(t, Config{})
	if _, err := p.Predict(ctx, "alice", "hello"); !errors.Is(err, ErrProfileNotFound) {
		t.Fatalf("got %v, want ErrProfileNotFound", err)
	}
	rep, err := p.Learn(ctx, "alice", examples(24), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", rep)
	out, err := p.Predict(ctx, "alice", "the database is down")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", out)
	var b bytes.Buffer
	if n, err := p.Export(ctx, &b); err != nil || n != 1 {
		t.Fatalf("export: %d, %v", n, err)
	}
	if err := p.Forget(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Predict(ctx, "alice", "hello"); !errors.Is(err, ErrProfileNotFound) {
		t.Fatalf("got %v, want ErrProfileNotFound", err)
	}
	if _, err := p.Import(ctx, &b, Fail); err != nil {
		t.Fatal(err)
	}
	again, err := p.Predict(ctx, "alice", "the database is down")
	if err != nil {
		t.Fatal(err)
	}
	again.Revision, out.Revision = 0, 0
	if !reflect.DeepEqual(again, out) {
		t.Errorf("got %+v, want %+v", again, out)
	}
}
