package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
)

// spanLog is a Tracer that writes operations down, each behind those that it is within.
type spanLog struct {
	mu    sync.Mutex
	begun []string
	ended map[string]error
	open  int
}

type within struct{}

func (s *spanLog) Start(ctx context.Context, operation string) (context.Context, func(error)) {
	outer, _ := ctx.Value(within{}).(string)
	path := strings.TrimPrefix(outer+" > "+operation, " > ")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.open = append(s.begun, path), s.open+1
	return context.WithValue(ctx, within{}, path), func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended[path], s.open = err, s.open-1
	}
}

// take is what was begun since the last one, each once, in order.
func (s *spanLog) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.begun
	slices.Sort(out)
	s.begun = nil
	return slices.Compact(out)
}

// TestTrace: each operation is heard of with its parts, ended once with its error, and without ids,
// texts or labels.
func TestTrace(t *testing.T) {
	ctx := context.Background()
	spans := &spanLog{ended: map[string]error{}}
	c := withAxes(t)
	c.Options.Trace = spans
	p := create(t, c)
	check := func(what string, want ...string) {
		t.Helper()
		if got := spans.take(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	mustLearn(t, p, "ann", examples(12, 0), nil)
	check("Learn", "learn", "learn > learn.install", "learn > learn.judge", "learn > learn.read", "learn > learn.train")
	mustPredict(t, p, "ann", "disk is full")
	check("Predict", "predict", "predict > predict.fold", "predict > predict.forward", "predict > predict.queue")
	mustObserve(t, p, "ann", Example{Text: "win", Label: "ignore"})
	check("Observe", "observe")
	mustRank(t, p, "ann", "", []string{"win", "disk"}, nil)
	got := spans.take()
	if !slices.Contains(got, "rank") || !slices.Contains(got, "rank > predict.forward") {
		t.Errorf("Rank: got %q", got)
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	_, err := p.Import(ctx, &bundle, nil)
	wantError(t, "Import", err, ErrExists)
	check("Export and Import", "export", "import")
	_, err = p.Predict(ctx, "nobody", "disk", nil)
	wantError(t, "Predict", err, ErrProfileNotFound)
	_, err = p.Learn(ctx, "ann", []Example{{Text: "a", Label: "nonsense"}}, nil)
	wantError(t, "Learn", err, ErrUnknownLabel)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	wantError(t, "Predict", func() error { _, err := p.Predict(ended, "ann", "disk", nil); return err }(), context.Canceled)
	drain(t, p)
	spans.mu.Lock()
	defer spans.mu.Unlock()
	if !errors.Is(spans.ended["import"], ErrExists) || !errors.Is(spans.ended["learn"], ErrUnknownLabel) ||
		!errors.Is(spans.ended["predict"], context.Canceled) || spans.ended["export"] != nil || spans.open != 0 {
		t.Errorf("got %v, with %d never ended", spans.ended, spans.open)
	}
}

// TestNoTraceCostsNothing: without a Tracer a span allocates nothing.
func TestNoTraceCostsNothing(t *testing.T) {
	o, ctx, tickets := &Options{}, context.Background(), []*ticket{{call: &call{}}}
	if n := testing.AllocsPerRun(100, func() {
		within, end := o.span(ctx, "predict")
		o.step(within, "learn.read")(nil)
		o.spans(tickets, "predict.forward")(nil)
		end(nil)
	}); n != 0 {
		t.Errorf("got %g allocations, want 0", n)
	}
}

// lines writes one line for each operation; OpenTelemetry's Start and End fit in its place.
type lines struct{ to io.Writer }

func (l lines) Start(ctx context.Context, operation string) (context.Context, func(error)) {
	// With OpenTelemetry: ctx, span := tracer.Start(ctx, operation), and in the end func
	// span.RecordError(err), if there is one, and span.End().
	return ctx, func(err error) { fmt.Fprintln(l.to, operation, err) }
}

func ExampleTracer() {
	var out bytes.Buffer
	o := Options{Trace: lines{&out}} // of Create or Open
	_, end := o.Trace.Start(context.Background(), "predict")
	end(nil)
	fmt.Print(out.String())
	// Output: predict <nil>
}
