package fleet

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// fetchAtOnce is how many operations a learner takes from a stream at once.
const fetchAtOnce = 64

// startLearning takes operations out of the streams as long as the node is open.
func (n *Node) startLearning() {
	turns := make(chan struct{}, n.config.Learning)
	for _, p := range n.parts {
		n.start(func() {
			for n.ctx.Err() == nil {
				if err := n.fetch(p.n, turns); err != nil && n.ctx.Err() == nil {
					n.config.Logger.Warn("fetching operations", "error", err)
					n.pause(250 * time.Millisecond)
				}
			}
		})
	}
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
				n.settle(groups[name], n.process(n.ctx, p, name))
			})
		}
	}
	return nil
}

// holdOn says that messages are worked on, until stop.
func (n *Node) holdOn(msgs []jetstream.Msg) (stop func()) {
	ended, once := make(chan struct{}), sync.Once{}
	go func() {
		tick := time.NewTicker(ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for _, m := range msgs {
					_ = m.InProgress() // else it is given out again
				}
			case <-ended:
				return
			}
		}
	}()
	return func() { once.Do(func() { close(ended) }) }
}

// settle acknowledges messages whose operations are done with, or gives them back.
func (n *Node) settle(msgs []jetstream.Msg, err error) {
	if err != nil && n.ctx.Err() == nil && !errors.Is(err, errHeld) {
		n.config.Logger.Warn("operations failed; they are tried again", "error", err)
	}
	for _, m := range msgs {
		var e error
		switch {
		case err == nil:
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
