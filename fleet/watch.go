package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// partition is a node's view of one stream of values.
type partition struct {
	n     int
	again chan struct{} // the watch must begin anew
	early chan struct{} // a beat is wanted now

	mu     sync.Mutex
	synced time.Time            // the node has all that the fleet had then; zero: never
	count  uint64               // of beats
	beats  map[uint64]time.Time // beats that have not come back, and when they were sent
	others map[string]otherNode
	now    time.Time       // the newest time that the servers have named
	unseen map[string]bool // while all is taken in anew: profiles that have not come yet
}

// otherNode is what a node has said last; this one is among them.
type otherNode struct {
	applied uint64
	at      time.Time // by the servers' clock
}

// beatMessage is what a node says of itself.
type beatMessage struct {
	Count   uint64 `json:"n"`
	Applied uint64 `json:"a"` // every value up to this sequence is in its folder
}

func newPartition(n int) *partition {
	return &partition{n: n, again: make(chan struct{}, 1), early: make(chan struct{}, 1),
		beats: map[uint64]time.Time{}, others: map[string]otherNode{}}
}

// age is how old the node's knowledge may be.
func (p *partition) age() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.synced.IsZero() {
		return math.MaxInt64
	}
	return time.Since(p.synced)
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// pause waits a moment, unless the node ends.
func (n *Node) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.ctx.Done():
	}
}

// follow takes in the values of a partition, in their order, from where the node was. If the stream
// is another one, or has lost its end, all is taken in anew.
func (n *Node) follow(p *partition) error {
	stream, err := n.js.Stream(n.ctx, n.valuesStream(p.n))
	if err != nil {
		return err
	}
	created := stream.CachedInfo().Created
	if at := n.state.place(p.n); !at.Stream.Equal(created) {
		if err := n.startOver(p, created); err != nil {
			return err
		}
	}
	consumer, err := stream.OrderedConsumer(n.ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: n.state.place(p.n).Seq + 1,
		InactiveThreshold: time.Minute})
	if err != nil {
		return err
	}
	poke(p.early)
	lost, err := n.consume(consumer, p.again, func(msg jetstream.Msg) { n.takeMessage(p, msg) },
		jetstream.PullMaxMessages(256), jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(5*time.Second))
	if !lost {
		return err
	}
	n.config.Logger.Error("the fleet has lost its newest values; all is taken in anew", "partition", p.n)
	return n.startOver(p, created)
}

// consume does something with one message after another, until it is to stop or the node closes.
func (n *Node) consume(c jetstream.Consumer, stop <-chan struct{}, do func(jetstream.Msg),
	o ...jetstream.PullConsumeOpt) (stopped bool, err error) {
	take, err := c.Consume(do, o...)
	if err != nil {
		return false, err
	}
	defer func() { take.Stop(); <-take.Closed() }()
	select {
	case <-n.ctx.Done():
		return false, nil
	case <-take.Closed():
		return false, errors.New("consumer closed")
	case <-stop:
		return true, nil
	}
}

// startOver forgets how far the watch was. Profiles that do not come again are forgotten, once
// everything has come that the fleet has now.
func (n *Node) startOver(p *partition, created time.Time) (err error) {
	all, err := n.state.names(n.plan.Partitions, p.n)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.synced, p.beats, p.unseen, p.others = time.Time{}, map[uint64]time.Time{}, all, map[string]otherNode{}
	n.state.move(p.n, func(at *place) { *at = place{Stream: created} })
	n.keys.clear() // a person may have an older one again
	err = n.state.unsend(func(name string) bool { return partitionOf(name, n.plan.Partitions) == p.n })
	poke(n.wake)
	return err
}

// takeMessage takes in one message, however often that has to be tried: what comes after it waits.
func (n *Node) takeMessage(p *partition, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return
	}
	n.counts.messages.Add(1)
	seq, key := meta.Sequence.Stream, strings.TrimPrefix(msg.Subject(), n.valueSubject(p.n, ""))
	p.mu.Lock()
	p.now = meta.Timestamp
	p.mu.Unlock()
	if name, ok := strings.CutPrefix(key, personKey); ok {
		for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
			err = n.apply(n.ctx, p, name, seq, msg.Data())
			if n.ctx.Err() != nil {
				return
			}
			if errors.Is(err, ErrCorrupt) || notOurs(err) == nil {
				break
			}
			n.config.Logger.Warn("taking in a value failed", "error", err)
			n.pause(wait)
		}
		if errors.Is(err, ErrSchema) { // the next Open, of a newer version, takes it
			err = errors.Join(err, n.state.refuse(name))
		}
		if err != nil { // the folder keeps what it has
			n.counts.refused.Add(1)
			n.config.Logger.Error("a value was left out", "name", name, "sequence", seq, "error", err)
		} else {
			n.counts.took(time.Since(meta.Timestamp))
		}
	}
	n.state.move(p.n, func(at *place) { at.Seq = seq })
	if name, ok := strings.CutPrefix(key, nodeKey); ok {
		n.heard(p, name, msg, meta.Timestamp)
	}
	n.changed.raise()
}

// heard notes what a node says; if it is this one, it has everything that came before its beat.
func (n *Node) heard(p *partition, name string, msg jetstream.Msg, at time.Time) {
	var b beatMessage
	left := msg.Headers().Get("KV-Operation") != ""
	if !left && json.Unmarshal(msg.Data(), &b) != nil {
		return
	}
	p.mu.Lock()
	if left {
		delete(p.others, name)
	} else {
		p.others[name] = otherNode{b.Applied, at}
	}
	sent, mine := p.beats[b.Count]
	if mine = mine && name == n.config.Node && !left; mine {
		delete(p.beats, b.Count)
		if sent.After(p.synced) {
			p.synced = sent
		}
	}
	unseen := p.unseen
	if mine {
		p.unseen = nil
	}
	p.mu.Unlock()
	if mine {
		for name := range unseen {
			n.vanished(name)
		}
	}
}

// beatEvery is how often a node speaks.
func (n *Node) beatEvery() time.Duration {
	return max(200*time.Millisecond, min(10*time.Second, n.config.MaxStale/8))
}

// beat speaks through the log of values until the node closes.
func (n *Node) beat(p *partition) {
	for n.ctx.Err() == nil {
		if err := n.speak(p); err != nil && n.ctx.Err() == nil {
			n.config.Logger.Warn("the fleet does not hear this node", "partition", p.n, "error", err)
		}
		select {
		case <-time.After(n.beatEvery()):
		case <-p.early:
		case <-n.ctx.Done():
		}
	}
}

func (n *Node) speak(p *partition) error {
	at := n.state.place(p.n)
	p.mu.Lock()
	p.count++
	b := beatMessage{Count: p.count, Applied: at.Seq}
	if len(p.beats) > 64 { // lost ones
		clear(p.beats)
	}
	p.beats[b.Count] = time.Now()
	p.mu.Unlock()
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(n.ctx, requestTimeout)
	defer stop()
	subject := n.valueSubject(p.n, nodeKey+n.config.Node)
	seq, err := n.write(ctx, subject, data, at.Beat, newID())
	lost := err == nil && seq <= at.Seq // the log is shorter than what was read of it
	if errors.Is(err, errConflict) {
		last, err := n.last(ctx, n.valuesStream(p.n), subject)
		if err != nil {
			return err
		}
		if seq = 0; last != nil {
			seq = last.Sequence
		}
		if lost = seq < at.Beat; !lost { // an answer was lost, or this node's earlier process wrote it
			poke(p.early)
		}
	} else if err != nil {
		return err
	}
	if now := n.state.place(p.n); !lost {
		n.state.move(p.n, func(is *place) {
			if is.Stream.Equal(now.Stream) { // else the watch has begun anew meanwhile
				is.Beat = seq
			}
		})
	} else if now.Stream.Equal(at.Stream) && now.Seq >= at.Seq {
		poke(p.again)
	}
	return nil
}

// leave says that the node serves no more.
func (n *Node) leave(p *partition) {
	msg := nats.NewMsg(n.valueSubject(p.n, nodeKey+n.config.Node))
	msg.Header.Set("KV-Operation", "DEL")
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if _, err := n.js.PublishMsg(ctx, msg); err != nil {
		n.config.Logger.Warn("leaving the fleet", "error", fmt.Sprint(err))
	}
}
