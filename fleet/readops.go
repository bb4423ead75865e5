package fleet

import (
	"context"
	"errors"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// readOps reads what waits, in the stream's order, without operations of an epoch that is over.
func (w *work) readOps(ctx context.Context) (more bool, err error) {
	w.ops, w.reset, w.changed, w.answers = nil, false, false, nil
	subject, epoch := w.n.opSubject(w.p, w.name), w.v.epoch
	for from := uint64(1); ; w.seen = from - 1 {
		msg, err := w.n.get(ctx, w.n.opsStream(w.p), subject, from)
		if err != nil || msg == nil {
			return false, err
		}
		from = msg.Sequence + 1
		o, err := w.openOp(ctx, msg, epoch)
		switch {
		case errors.Is(err, ErrSchema) && len(w.ops) > 0:
			return false, nil // a newer node does it
		case errors.Is(err, ErrCorrupt):
			w.n.config.Logger.Error("an operation was left out", "error", err)
			w.n.counts.refused.Add(1)
			continue
		case errors.Is(err, errOver):
			w.n.counts.dropped.Add(1)
			continue
		case err != nil:
			return false, err
		case slices.Contains(w.recent, hashOf(o.ID)):
			w.n.counts.repeated.Add(1)
			continue
		case msg.Sequence <= w.v.through && !msg.Time.After(w.at):
			continue // it is in the value, and was not acknowledged
		case msg.Sequence <= w.v.through: // the servers lost operations, and number others like them
			w.v.through = msg.Sequence - 1
		}
		if o.Epoch > epoch && o.Kind != opForget { // the servers lost a Forget, which the node knows of
			o, msg.Sequence = op{Kind: opForget, Profile: o.Profile, Epoch: o.Epoch - 1}, msg.Sequence-1
			w.n.sayReturned(w.name)
		}
		w.recent = append(w.recent, hashOf(o.ID))
		w.ops = append(w.ops, queuedOp{o, msg.Sequence})
		if o.Kind == opForget || len(w.ops) == mostOps { // what comes after it is of another epoch
			return true, nil
		}
	}
}

// errOver says that an operation's person was forgotten since.
var errOver = errors.New("fleet: of an epoch that is over")

func (w *work) openOp(ctx context.Context, msg *jetstream.RawStreamMsg, epoch uint64) (o op, err error) {
	of, by, err := opEpoch(msg.Data)
	if err != nil {
		return o, err
	}
	if of < epoch {
		return o, errOver
	}
	key := w.n.secrets.op
	if by == byProfile {
		if w.key == nil {
			w.key, err = w.n.readKey(ctx, w.p, w.name)
		}
		key = w.key
	}
	if err != nil {
		return o, err
	}
	if key == nil {
		return o, errOver
	}
	return decodeOp(msg.Data, key, msg.Subject)
}
