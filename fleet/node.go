package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// Node is one of a fleet's, open. It is safe for concurrent use.
type Node struct {
	streams
	config  Config
	secrets secrets
	plan    plan
	state   *state
	folder  *sdk.Folder
	parts   []*partition
	keys    keyCache

	locks   keyLock       // of profiles: who changes one in the folder
	leases  keyLock       // of profiles: who learns one in this process
	wake    chan struct{} // holds a token when the queue may have grown
	changed signal        // something was taken in, or sent

	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	once    sync.Once
	closed  atomic.Bool
	counts  counts
}

var _ sdk.Service = (*Node)(nil)

// Open joins a fleet that Create made, and returns once this node has all that the fleet had when
// it was called. The first time that takes a transaction a profile.
func Open(ctx context.Context, c Config) (*Node, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.Dir == "" {
		return nil, configError([]string{"Dir is empty"})
	}
	n := &Node{config: c, wake: make(chan struct{}, 1)}
	n.ctx, n.stop = context.WithCancel(context.Background())
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) (err error) {
	if n.secrets, err = newSecrets(n.config.Secret); err != nil {
		return err
	}
	if n.streams, err = connect(n.config); err != nil {
		return err
	}
	if n.plan, err = n.readPlan(ctx, n.secrets); err != nil {
		return err
	}
	if err := os.MkdirAll(n.config.Dir, 0o700); err != nil {
		return err
	}
	if n.state, err = openState(filepath.Join(n.config.Dir, "fleet.db"), n.secrets.local); err != nil {
		return err
	}
	if err := n.openFolder(ctx); err != nil {
		return err
	}
	for p := range n.plan.Partitions {
		n.parts = append(n.parts, newPartition(p))
		n.keepOn("watching values", func() error { return n.follow(n.parts[p]) })
		n.start(func() { n.beat(n.parts[p]) })
	}
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	n.start(n.drainQueue)
	n.start(n.flushState)
	if n.config.Learner {
		n.startLearning()
	}
	return nil
}

func (n *Node) start(f func()) {
	n.running.Add(1)
	go func() { defer n.running.Done(); f() }()
}

// keepOn does something again and again, as long as the node is open.
func (n *Node) keepOn(what string, do func() error) {
	n.start(func() {
		for n.ctx.Err() == nil {
			if err := do(); err != nil && n.ctx.Err() == nil {
				n.config.Logger.Warn(what, "error", err)
				n.pause(250 * time.Millisecond)
			}
		}
	})
}

// catchUp waits until the node has what the fleet had, and repairs what a crash left half done.
func (n *Node) catchUp(ctx context.Context) error {
	if err := n.inStep(ctx); err != nil {
		return err
	}
	half, err := n.state.folding()
	if err != nil {
		return err
	}
	for _, name := range half {
		if err := n.refresh(ctx, name); err != nil && !errors.Is(err, ErrSchema) {
			return err
		}
	}
	return nil
}

// inStep waits until the node may answer for everybody.
func (n *Node) inStep(ctx context.Context) error {
	for _, p := range n.parts {
		err := n.until(ctx, func() (bool, error) { return p.age() <= n.config.MaxStale, nil })
		if err != nil {
			return fmt.Errorf("fleet: catching up: %w", err)
		}
	}
	return nil
}

// flushState keeps what a crash would make the watch repeat small.
func (n *Node) flushState() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := n.state.flush(); err != nil {
				n.config.Logger.Error("writing the node's state", "error", err)
			}
		case <-n.ctx.Done():
			return
		}
	}
}

// Close leaves the fleet. What waits in the queue is sent after the next Open.
func (n *Node) Close() (err error) {
	n.once.Do(func() {
		n.closed.Store(true)
		n.stop()
		n.running.Wait()
		for _, p := range n.parts {
			n.leave(p)
		}
		if n.folder != nil {
			err = n.folder.Close()
		}
		if n.state != nil {
			err = errors.Join(err, n.state.close())
		}
		if n.nc != nil {
			n.nc.Close()
		}
	})
	return err
}

// signal wakes all who wait.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// until waits for what a change of the node makes true.
func (n *Node) until(ctx context.Context, done func() (bool, error)) error {
	for {
		changed := n.changed.next() // before it is asked: none is missed
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ctx.Done():
			return sdk.ErrClosed
		}
	}
}

// keyLock is a lock for each key in use.
type keyLock struct {
	mu    sync.Mutex
	locks map[string]*keyed
}

type keyed struct {
	sync.Mutex
	users int
}

func (k *keyLock) lock(key string) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*keyed{}
	}
	l := k.locks[key]
	if l == nil {
		l = &keyed{}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.locks, key)
		}
	}
}
