package fleet

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// fetchAtOnce is how many operations a learner takes from a stream at once.
const fetchAtOnce = 64

// startLearning takes operations out of the streams as long as the node is open.
func (n *Node) startLearning() {
	turns := make(chan struct{}, n.config.Learning)
	for _, p := range n.parts {
		n.keepOn("fetching operations", func() error { return n.fetch(p.n, turns) })
		n.keepOn("watching keys", func() error { return n.watchKeys(p.n) })
	}
}

// watchKeys sees keys that were destroyed by hand, where a bucket keeps a marker in their place.
// Whose key is gone is forgotten.
func (n *Node) watchKeys(p int) error {
	consumer, err := n.js.Consumer(n.ctx, n.keysStream(p), learnConsumer)
	if err != nil {
		n.pause(time.Minute) // a fleet of before has none
		return err
	}
	_, err = n.consume(consumer, nil, func(msg jetstream.Msg) {
		var err error
		if msg.Headers().Get("KV-Operation") != "" {
			_, err = n.process(n.ctx, p, lastToken(msg.Subject()))
		}
		n.settle([]jetstream.Msg{msg}, math.MaxUint64, err)
	})
	return err
}

// fetch takes some operations, and works on their profiles. A message is given out again if nobody
// says in time that it is worked on.
func (n *Node) fetch(p int, turns chan struct{}) error {
	consumer, err := n.js.Consumer(n.ctx, n.opsStream(p), learnConsumer)
	if err != nil {
		return err
	}
	for n.ctx.Err() == nil {
		groups, order := map[string][]jetstream.Msg{}, []string(nil)
		take := func(batch jetstream.MessageBatch, err error) error {
			if err != nil {
				return err
			}
			for msg := range batch.Messages() {
				name := lastToken(msg.Subject())
				if groups[name] == nil {
					order = append(order, name)
				}
				groups[name] = append(groups[name], msg)
			}
			return batch.Error()
		}
		err := take(consumer.Fetch(1, jetstream.FetchMaxWait(5*time.Second)))
		if err == nil && len(order) > 0 { // and what else is there
			err = take(consumer.FetchNoWait(fetchAtOnce - 1))
		}
		if err != nil && len(order) == 0 {
			return err
		}
		for _, name := range order {
			stop := n.holdOn(groups[name])
			select {
			case turns <- struct{}{}:
			case <-n.ctx.Done():
				stop()
				return nil
			}
			n.start(func() {
				defer func() { <-turns; stop() }()
				through, err := n.process(n.ctx, p, name)
				n.settle(groups[name], through, err)
			})
		}
	}
	return nil
}

// holdOn says that messages are worked on, until stop.
func (n *Node) holdOn(msgs []jetstream.Msg) (stop func()) {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for _, m := range msgs {
					_ = m.InProgress() // else it is given out again
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return stop
}

// settle acknowledges messages through one whose operations are done with, or gives them back: a
// consumer may give out an operation before the stream's leader, whom the learner asked, has it.
func (n *Node) settle(msgs []jetstream.Msg, through uint64, err error) {
	if err != nil && n.ctx.Err() == nil && !errors.Is(err, errHeld) {
		n.config.Logger.Warn("operations failed; they are tried again", "error", err)
	}
	for _, m := range msgs {
		meta, e := m.Metadata()
		switch {
		case e != nil:
		case err == nil && meta.Sequence.Stream <= through:
			e = m.Ack()
		case errors.Is(err, ErrSchema):
			e = m.NakWithDelay(5 * time.Second)
		default:
			e = m.NakWithDelay(200 * time.Millisecond)
		}
		if e != nil {
			n.config.Logger.Debug("acknowledging", "error", e)
		}
	}
}
