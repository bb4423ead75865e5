package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// streams are the fleet's, as one connection sees them. The streams of values, keys and leases are
// laid out as NATS key-value buckets are, so that its tools read them; none answers direct gets,
// which may be stale: what is read here decides what is written.
type streams struct {
	fleet string
	nc    *nats.Conn
	js    jetstream.JetStream
	known *sync.Map // handles of streams, by name
}

// bound is a stream's handle.
func (s streams) bound(ctx context.Context, name string) (jetstream.Stream, error) {
	if st, ok := s.known.Load(name); ok {
		return st.(jetstream.Stream), nil
	}
	st, err := s.js.Stream(ctx, name)
	if err == nil {
		s.known.Store(name, st)
	}
	return st, err
}

func (s streams) bucket(kind string, p int) string { return fmt.Sprintf("%s_%s_%d", s.fleet, kind, p) }

func (s streams) valuesStream(p int) string       { return "KV_" + s.bucket("profiles", p) }
func (s streams) keysStream(p int) string         { return "KV_" + s.bucket("keys", p) }
func (s streams) opsStream(p int) string          { return s.bucket("ops", p) }
func (s streams) leasesStream() string            { return "KV_" + s.fleet + "_leases" }
func (s streams) metaStream() string              { return "KV_" + s.fleet + "_meta" }
func (s streams) baseBucket() string              { return s.fleet + "_base" }
func (s streams) leaseSubject(name string) string { return "$KV." + s.fleet + "_leases." + name }
func (s streams) metaSubject() string             { return "$KV." + s.fleet + "_meta.layout" }

// The keys of a bucket of values: people, and the nodes' beats, which go through the same log, so
// that a node that sees its own beat has seen everything before it.
const (
	personKey = "u."
	nodeKey   = "node."
)

func (s streams) valueSubject(p int, key string) string {
	return "$KV." + s.bucket("profiles", p) + "." + key
}
func (s streams) keySubject(p int, name string) string {
	return "$KV." + s.bucket("keys", p) + "." + name
}
func (s streams) opSubject(p int, name string) string {
	return fmt.Sprintf("%s.ops.%d.%s", s.fleet, p, name)
}

// lastToken is a subject's.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

func connect(c Config) (s streams, err error) {
	opts := append([]nats.Option{nats.Name("xpeft-fleet " + c.Node), nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond), nats.Timeout(5 * time.Second),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.CustomInboxPrefix("_INBOX." + c.Fleet + "." + c.Node)}, c.NATS...)
	s = streams{fleet: c.Fleet, known: &sync.Map{}}
	if s.nc, err = nats.Connect(c.Servers, opts...); err != nil {
		return s, fmt.Errorf("fleet: %w", err)
	}
	s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(requestTimeout),
		jetstream.WithPublishAsyncTimeout(requestTimeout))
	return s, err
}

// requestTimeout is how long one request may take before it is tried again.
const requestTimeout = 3 * time.Second

// configs are the streams of a layout.
func (s streams) configs(l Layout) []jetstream.StreamConfig {
	kv := func(name string) jetstream.StreamConfig {
		bucket := strings.TrimPrefix(name, "KV_")
		return jetstream.StreamConfig{Name: name, Subjects: []string{"$KV." + bucket + ".>"}, MaxMsgsPerSubject: 1,
			Replicas: l.Replicas, Duplicates: l.Duplicates, Discard: jetstream.DiscardNew, AllowRollup: true}
	}
	leases := kv(s.leasesStream())
	leases.MaxAge, leases.Duplicates = l.Lease, l.Lease
	all := []jetstream.StreamConfig{leases, kv(s.metaStream())}
	for p := range l.Partitions {
		all = append(all, kv(s.valuesStream(p)), kv(s.keysStream(p)), jetstream.StreamConfig{Name: s.opsStream(p),
			Subjects: []string{s.opSubject(p, "*")}, Retention: jetstream.WorkQueuePolicy, Replicas: l.Replicas,
			Duplicates: l.Duplicates, Discard: jetstream.DiscardNew})
	}
	return all
}

const learnConsumer = "learn"

// ackWait is how long an operation that nobody reports progress of waits to be given out again.
const ackWait = 15 * time.Second

// make creates the streams and the learners' consumers.
func (s streams) make(ctx context.Context, l Layout) error {
	for _, c := range s.configs(l) {
		if _, err := s.js.CreateStream(ctx, c); err != nil {
			return fmt.Errorf("fleet: stream %s: %w", c.Name, err)
		}
	}
	for p := range l.Partitions {
		for _, stream := range []string{s.opsStream(p), s.keysStream(p)} {
			_, err := s.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{Durable: learnConsumer,
				AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 4096,
				HeadersOnly: stream == s.keysStream(p)})
			if err != nil {
				return fmt.Errorf("fleet: consumer of %s: %w", stream, err)
			}
		}
	}
	return nil
}

// last reads the newest message of a subject from the stream's leader; nil if there is none.
func (s streams) last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	return s.get(ctx, stream, subject, 0)
}

// get reads the first message of a subject that is not before a sequence, or with sequence 0 the
// newest; nil if there is none.
func (s streams) get(ctx context.Context, stream, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	var msg *jetstream.RawStreamMsg
	err := again(ctx, func(ctx context.Context) error {
		st, err := s.bound(ctx, stream)
		if err != nil {
			return err
		}
		if from == 0 {
			msg, err = st.GetLastMsgForSubject(ctx, subject)
		} else {
			msg, err = st.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject))
		}
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			msg, err = nil, nil
		}
		return err
	})
	return msg, err
}

// write publishes by compare-and-set: only if the subject's newest message has the sequence
// expected, 0 for none. It is errConflict if it has not.
func (s streams) write(ctx context.Context, subject string, data []byte, expected uint64, id string) (uint64, error) {
	msg := nats.NewMsg(subject)
	msg.Data = data
	var ack *jetstream.PubAck
	err := again(ctx, func(ctx context.Context) (err error) {
		ack, err = s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id),
			jetstream.WithExpectLastSequencePerSubject(expected))
		return err
	})
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return 0, errConflict
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// errConflict says that somebody else wrote meanwhile.
var errConflict = errors.New("fleet: written by another meanwhile")

// attempts are how often a request is made before its error is the caller's.
const attempts = 4

// again makes a request until it is answered. What has the same Msg-Id each time is stored once.
func again(ctx context.Context, request func(context.Context) error) (err error) {
	for range attempts {
		short, stop := context.WithTimeout(ctx, requestTimeout)
		err = request(short)
		stop()
		if err == nil || !transient(err) || ctx.Err() != nil {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// What servers answer, beside errors of their own, that may pass.
const (
	noPeers            = 10005 // too few of them are there for a stream's replicas
	duplicateInProcess = 10158 // an earlier attempt is under way
)

// passes says whether the servers may answer otherwise when they are asked again.
func passes(e *jetstream.APIError) bool {
	return e.Code >= 500 || e.ErrorCode == noPeers || e.ErrorCode == duplicateInProcess
}

// transient says whether a request may succeed when it is made again.
func transient(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return passes(api)
	}
	return !errors.Is(err, nats.ErrMaxPayload) && !errors.Is(err, nats.ErrPermissionViolation) &&
		!errors.Is(err, nats.ErrConnectionClosed)
}
