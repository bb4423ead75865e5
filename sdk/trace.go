package sdk

import (
	"context"
	"slices"
	"sync"
)

// Tracer hears of operations as they run: a few lines put OpenTelemetry, or a log, behind it. It is
// told no ids, texts or labels. It must be safe for concurrent use, and quick: calls wait for it.
type Tracer interface {
	// Start begins an operation, in whatever goroutine. What the operation does is within the
	// context that it returns; end is called once, when the operation has ended, with its error or
	// nil, and not always in the same goroutine. Both must not be nil.
	//
	// The operations are predict (a Predict, or a PredictBatch), and within it predict.queue
	// (until a forward pass takes the first of its texts), predict.forward (each pass that one of
	// its texts is in, and others' texts with it), and within that time predict.fold (profiles that
	// are not cached, made ready); learn (a Learn, also in the background, of up to 128 profiles),
	// and within it learn.read (examples are read, put together and tokenized), learn.train (also
	// the trainings on folds, which the judge needs), learn.judge and learn.install; observe, rank,
	// import and export.
	Start(ctx context.Context, operation string) (within context.Context, end func(err error))
}

func untraced(error) {}

// span begins an operation of a call; without a Tracer it costs nothing.
func (o *Options) span(ctx context.Context, operation string) (context.Context, func(error)) {
	if o.Trace == nil {
		return ctx, untraced
	}
	return o.Trace.Start(ctx, operation)
}

// step is span for what begins no other.
func (o *Options) step(ctx context.Context, operation string) func(error) {
	_, end := o.span(ctx, operation)
	return end
}

// spans begins an operation that the calls of some tickets share, once for each of them.
func (o *Options) spans(tickets []*ticket, operation string) (end func(error)) {
	if o.Trace == nil {
		return untraced
	}
	var calls []*call
	var ends []func(error)
	for _, t := range tickets {
		if c := t.call; c != nil && !slices.Contains(calls, c) {
			calls, ends = append(calls, c), append(ends, o.step(c.ctx, operation))
		}
	}
	return func(err error) {
		for _, end := range ends {
			end(err)
		}
	}
}

// queued begins a call's wait. Its end is told once: the pass that takes the first text, or the
// call when it gives up.
func (o *Options) queued(ctx context.Context) func(error) {
	end, once := o.step(ctx, "predict.queue"), sync.Once{}
	return func(err error) { once.Do(func() { end(err) }) }
}
