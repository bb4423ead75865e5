package fleet

import (
	"context"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// hooked is a stream that does something after a message was read.
type hooked struct {
	jetstream.Stream
	after func()
}

func (h *hooked) GetMsg(ctx context.Context, seq uint64, o ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	defer h.after()
	return h.Stream.GetMsg(ctx, seq, o...)
}

// TestStatusWhileSpeaking: a node that speaks again while its word is read is named once.
func TestStatusWhileSpeaking(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	a := c.open(c.config("a"))
	st, err := a.bound(t.Context(), a.valuesStream(0))
	if err != nil {
		t.Fatal(err)
	}
	again := sync.OnceFunc(func() {
		if err := a.speak(a.parts[0]); err != nil {
			t.Error(err)
		}
	})
	reader := a.streams
	reader.known = &sync.Map{}
	reader.known.Store(a.valuesStream(0), &hooked{st, again})
	var status Status
	if err := reader.nodeStatus(t.Context(), 0, &status); err != nil || len(status.Nodes) != 1 {
		t.Errorf("got %+v, %v, want a once", status, err)
	}
}
