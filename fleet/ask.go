package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/xpeft/xpeft/sdk"
)

// answer is what a learner says of an operation to the node that asked.
type answer struct {
	Report   *sdk.Report         `json:"report,omitempty"`
	Examples []sdk.StoredExample `json:"examples,omitempty"`
	Reason   string              `json:"reason,omitempty"` // of reasons
	Error    string              `json:"error,omitempty"`

	to    string
	epoch uint64 // that the node gave the operation
	lost  bool   // a Forget was done, and whether anybody was there is not known
}

func (a answer) err() error {
	if a.Error == "" {
		return nil
	}
	return fmt.Errorf("%w: by a learner: %s", reasonErr(a.Reason), a.Error)
}

// answer notes what is to be said of an operation.
func (w *work) answer(o queuedOp, a answer, err error) {
	if o.Reply == "" {
		if err != nil {
			w.n.config.Logger.Warn("an operation was refused", "kind", o.Kind, "error", err)
		}
		return
	}
	if a.to = o.Reply; err != nil {
		a = answer{to: o.Reply, Reason: reasonOf(err), Error: err.Error()}
	}
	w.answers = append(w.answers, a)
}

// reply says what was noted.
func (w *work) reply() {
	for _, a := range w.answers {
		data, err := json.Marshal(a)
		if err == nil {
			err = w.n.nc.Publish(a.to, seal(w.n.secrets.op, data, a.to))
		}
		if err != nil {
			w.n.config.Logger.Warn("answering", "error", err)
		}
	}
	w.answers = nil
}

// lostAfter is how long an answer may come after the value that it speaks of.
const lostAfter = 3 * time.Second

// ask publishes an operation, and waits until it is done and this node serves what it did. The
// node's own operations of the profile go before.
func (n *Node) ask(ctx context.Context, o op) (a answer, err error) {
	name := n.secrets.nameOf(o.Profile)
	err = n.until(ctx, func() (bool, error) {
		waits, err := n.state.waiting(name)
		return !slices.ContainsFunc(waits, func(w pending) bool { return w.Sent == 0 }), err
	})
	if err != nil {
		return a, err
	}
	o.ID, o.Reply = newID(), n.nc.NewInbox()
	replies := make(chan *nats.Msg, 1)
	sub, err := n.nc.ChanSubscribe(o.Reply, replies)
	if err != nil {
		return a, fmt.Errorf("fleet: %w", err)
	}
	defer sub.Unsubscribe()
	e, err := n.state.entry(name)
	if err != nil {
		return a, err
	}
	o.Epoch, a.epoch = e.Epoch, e.Epoch
	seq, err := n.publish(ctx, name, o, !e.Gone && e.Seq > 0)
	if err != nil {
		return a, err
	}
	var covered time.Time
	for {
		select {
		case msg := <-replies:
			data, err := unseal(n.secrets.op, msg.Data, o.Reply)
			if err == nil {
				err = json.Unmarshal(data, &a)
			}
			if err != nil {
				continue // not a learner's
			}
			if err := a.err(); err != nil {
				return a, err
			}
			return a, n.until(ctx, func() (bool, error) { // the folder has it
				e, err := n.state.entry(name)
				return e.Through >= seq, err
			})
		case <-ctx.Done():
			return a, ctx.Err()
		case <-n.ctx.Done():
			return a, sdk.ErrClosed
		case <-time.After(250 * time.Millisecond):
		}
		if e, err = n.state.entry(name); err != nil {
			return a, err
		}
		switch over := e.Epoch > o.Epoch; {
		case e.Through < seq && !over:
		case covered.IsZero():
			covered = time.Now()
		case time.Since(covered) < lostAfter:
		case over && o.Kind == opForget: // by this one, or another
			a.lost = true
			return a, nil
		case over:
			return a, fmt.Errorf("%w: the profile was forgotten", sdk.ErrConflict)
		default:
			return a, ErrReportLost
		}
	}
}

// publish gives an operation to the fleet, as often as that has to be tried while ctx lasts.
func (n *Node) publish(ctx context.Context, name string, o op, keyed bool) (seq uint64, err error) {
	msg, err := n.message(ctx, name, o, keyed)
	if err != nil {
		return 0, err
	}
	for {
		err = again(ctx, func(ctx context.Context) error {
			ack, err := n.js.PublishMsg(ctx, msg)
			if err == nil {
				seq = ack.Sequence
			}
			return err
		})
		if err == nil || !transient(err) || ctx.Err() != nil {
			return seq, err
		}
	}
}
