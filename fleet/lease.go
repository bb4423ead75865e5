package fleet

import (
	"context"
	"errors"
	"time"
)

// lease is the right to learn a profile, for as long as it is renewed. It saves work alone: what
// makes two learners safe is that values are written by compare-and-set.
type lease struct {
	n    *Node
	name string
	seq  uint64
	stop context.CancelFunc
	done chan struct{}
}

// errHeld says that another learner has the profile.
var errHeld = errors.New("fleet: another learner has the profile")

// acquire takes the lease of a profile. The context ends when it is lost.
func (n *Node) acquire(ctx context.Context, name string) (*lease, context.Context, error) {
	seq, err := n.write(ctx, n.leaseSubject(name), []byte(n.config.Node), 0, newID())
	if errors.Is(err, errConflict) {
		return nil, nil, errHeld
	}
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	l := &lease{n: n, name: name, seq: seq, stop: stop, done: make(chan struct{})}
	go l.renew(ctx)
	return l, ctx, nil
}

// renew keeps the lease, and ends its context if that does not succeed in time.
func (l *lease) renew(ctx context.Context) {
	defer close(l.done)
	defer l.stop()
	until := time.Now().Add(l.n.plan.Lease)
	for {
		select {
		case <-time.After(l.n.plan.Lease / 4):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		short, stop := context.WithDeadline(ctx, until)
		seq, err := l.n.write(short, l.n.leaseSubject(l.name), []byte(l.n.config.Node), l.seq, newID())
		stop()
		switch {
		case err == nil:
			l.seq, until = seq, began.Add(l.n.plan.Lease)
		case ctx.Err() != nil:
			return
		case errors.Is(err, errConflict) || time.Now().After(until):
			l.n.config.Logger.Warn("a lease was lost", "error", err)
			return
		}
	}
}

// release gives the lease back. If that fails it ends by itself.
func (l *lease) release() {
	l.stop()
	<-l.done
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	st, err := l.n.bound(ctx, l.n.leasesStream())
	if err == nil {
		err = st.DeleteMsg(ctx, l.seq)
	}
	if err != nil {
		l.n.config.Logger.Debug("giving a lease back", "error", err)
	}
}
