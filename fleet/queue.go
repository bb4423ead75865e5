package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/xpeft/xpeft/sdk"
)

// newID is an operation's, random.
func newID() string { return rand.Text() }

// accept applies an operation to the folder, so that this node serves it at once, makes it durable,
// and waits a moment for the fleet to have it.
func (n *Node) accept(ctx context.Context, o op) error {
	o.ID = newID()
	name := n.secrets.nameOf(o.Profile)
	number, err := n.acceptHere(ctx, name, &o)
	if err != nil {
		return err
	}
	poke(n.wake)
	short, stop := context.WithTimeout(ctx, n.config.PublishWait)
	defer stop()
	_ = n.sent(short, number) // the queue has it
	return nil
}

// sent waits until the fleet has an operation.
func (n *Node) sent(ctx context.Context, number uint64) error {
	return n.until(ctx, func() (bool, error) { return !n.state.isUnsent(number), nil })
}

func (n *Node) acceptHere(ctx context.Context, name string, o *op) (number uint64, err error) {
	defer n.locks.lock(name)()
	if n.closed.Load() {
		return 0, sdk.ErrClosed
	}
	e, err := n.state.entry(name)
	if err != nil {
		return 0, err
	}
	o.Epoch = e.Epoch
	// first the queue, which knows whom a later Forget must erase in the folder
	if number, err = n.state.enqueue(name, *o, n.config.MaxQueue); err != nil {
		return 0, err
	}
	defer n.state.release(number)
	if err := applyOp(ctx, n.folder, *o); err != nil {
		return 0, errors.Join(err, n.state.drop(name, func(p pending) bool { return p.n == number }))
	}
	return number, nil
}

// publishAtOnce is how many operations are under way to the fleet together.
const publishAtOnce = 256

// drainQueue sends what waits, as long as the node is open.
func (n *Node) drainQueue() {
	for n.ctx.Err() == nil {
		if !n.nc.IsConnected() {
			n.pause(100 * time.Millisecond)
			continue
		}
		batch, err := n.state.next(publishAtOnce)
		if err == nil && len(batch) > 0 {
			err = n.send(batch)
		}
		if err != nil && n.ctx.Err() == nil {
			n.config.Logger.Warn("sending what was observed failed; it is tried again", "error", err)
			n.pause(250 * time.Millisecond)
		}
		if err != nil || len(batch) > 0 {
			continue
		}
		select {
		case <-n.wake:
		case <-n.ctx.Done():
		}
	}
}

// send publishes operations, one of a profile, and remembers which the fleet has. Those of an epoch
// that is over are dropped.
func (n *Node) send(batch []pending) error {
	acks := map[uint64]jetstream.PubAckFuture{}
	var failed error
	for _, p := range batch {
		e, err := n.state.entry(p.Name)
		if err != nil {
			return err
		}
		if p.Epoch < e.Epoch {
			failed = errors.Join(failed, n.state.drop(p.Name, func(w pending) bool { return w.n == p.n }))
			n.counts.dropped.Add(1)
			continue
		}
		msg, err := n.message(n.ctx, p.Name, p.op, !e.Gone && e.Seq > 0)
		var ack jetstream.PubAckFuture
		if err == nil {
			ack, err = n.js.PublishMsgAsync(msg)
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		acks[p.n] = ack
	}
	has := map[uint64]uint64{}
	for number, ack := range acks {
		select {
		case a := <-ack.Ok():
			has[number] = a.Sequence
		case err := <-ack.Err():
			failed = errors.Join(failed, err)
		case <-n.ctx.Done():
			failed = n.ctx.Err()
		}
	}
	err := n.state.sent(has)
	for _, p := range batch {
		if _, ok := has[p.n]; ok && err == nil {
			err = n.forgetDone(p.Name)
		}
	}
	n.counts.published.Add(int64(len(has)))
	n.changed.raise()
	return errors.Join(failed, err)
}

// forgetDone drops those of a profile's operations that are in its value already. If that says that
// there is nobody, they were refused.
func (n *Node) forgetDone(name string) error {
	defer n.locks.lock(name)()
	e, err := n.state.entry(name)
	if err != nil {
		return err
	}
	waits, err := n.state.waiting(name)
	done := func(w pending) bool { return w.Sent != 0 && w.Sent <= e.Through }
	if err != nil || !slices.ContainsFunc(waits, done) {
		return err
	}
	if e.Gone {
		if err := n.erase(n.ctx, name); err != nil {
			return err
		}
	}
	if err = n.state.drop(name, done); err == nil && e.Gone {
		err = n.repeat(n.ctx, name)
	}
	return err
}

// message is an operation as it is published. A profile that has a value has a key.
func (n *Node) message(ctx context.Context, name string, o op, keyed bool) (*nats.Msg, error) {
	p := partitionOf(name, n.plan.Partitions)
	msg := nats.NewMsg(n.opSubject(p, name))
	msg.Header.Set(jetstream.MsgIDHeader, o.ID)
	key, known := n.keys.get(name)
	var err error
	if keyed && !known {
		if key, err = n.readKey(ctx, p, name); err != nil {
			return nil, err
		}
		if key != nil {
			n.keys.put(name, key)
		}
	}
	if !keyed {
		key = nil
	}
	msg.Data, err = o.encode(n.secrets, key, msg.Subject)
	return msg, err
}

// isUnsent says whether the fleet may not have an operation.
func (s *state) isUnsent(number uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsent[number]
}
