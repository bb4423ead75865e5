package fleet

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/xpeft/xpeft/sdk"
)

// behind is a stream whose leader has not stored yet what a follower has.
type behind struct {
	jetstream.Stream
	misses atomic.Int32 // how many messages it does not find
}

func (b *behind) GetMsg(ctx context.Context, seq uint64, o ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	if b.misses.Add(-1) >= 0 {
		return nil, jetstream.ErrMsgNotFound
	}
	return b.Stream.GetMsg(ctx, seq, o...)
}

// TestLeaderBehind: an operation that a learner was given, and does not find in the stream when it
// reads that in its order, is not acknowledged.
func TestLeaderBehind(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	learner, a := c.learner("learner"), c.open(c.config("a"))
	name := learner.opsStream(partitionOf(a.secrets.nameOf("alice"), 2))
	st, err := learner.bound(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	late := &behind{Stream: st}
	late.misses.Store(1)
	learner.known.Store(name, late)
	if err := a.Observe(t.Context(), "alice", messages[0]); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "answer elsewhere", func() bool {
		label, source := answers(t, learner, "alice", messages[0].Text)
		return label == messages[0].Label && source == sdk.SourceTaught
	})
	if late.misses.Load() >= 0 {
		t.Error("the learner did not read the stream")
	}
}
