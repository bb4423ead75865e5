package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xpeft/xpeft/sdk"
)

// apply takes a value into the folder, unless that has it or a newer one.
func (n *Node) apply(ctx context.Context, p *partition, name string, seq uint64, data []byte) error {
	defer n.locks.lock(name)()
	p.mu.Lock()
	anew := p.unseen[name]
	p.mu.Unlock()
	had, err := n.state.entry(name)
	if err != nil || !anew && seq <= had.Seq {
		return err
	}
	v, err := decodeValue(data)
	if err != nil {
		return err
	}
	if v.epoch < had.Epoch && !v.gone {
		err = n.returned(ctx, p.n, name, seq, v, had.Epoch)
	} else {
		err = n.take(ctx, p.n, name, seq, v, true)
	}
	if err != nil {
		return err
	}
	if v.gone {
		poke(p.early) // who forgets waits for it
	}
	p.mu.Lock()
	delete(p.unseen, name)
	p.mu.Unlock()
	return nil
}

// returned is of somebody who was forgotten, as this node knows, and whom the servers know again,
// as they have lost that: they are not served, and forgotten once more.
func (n *Node) returned(ctx context.Context, p int, name string, seq uint64, v value, epoch uint64) error {
	who, err := n.open1(ctx, p, name, seq, v)
	if err != nil && !errors.Is(err, errNoKey) {
		return err
	}
	takeErr := n.take(ctx, p, name, seq, value{gone: true, epoch: epoch, through: v.through}, true)
	if takeErr != nil || err != nil { // without a key, the first learner to see it forgets them
		return takeErr
	}
	n.sayReturned(name)
	n.start(func() {
		o := op{ID: newID(), Kind: opForget, Profile: who.id, Epoch: epoch - 1}
		if _, err := n.publish(n.ctx, name, o, false); err != nil {
			n.config.Logger.Error("forgetting again", "name", name, "error", err)
		}
	})
	return nil
}

func (n *Node) sayReturned(name string) {
	n.counts.returned.Add(1)
	n.config.Logger.Error("the servers have lost that somebody was forgotten, or their key; they are forgotten again",
		"name", name)
}

// refresh makes the folder what the fleet says of a profile.
func (n *Node) refresh(ctx context.Context, name string) error {
	p := partitionOf(name, n.plan.Partitions)
	msg, err := n.last(ctx, n.valuesStream(p), n.valueSubject(p, personKey+name))
	if err != nil {
		return err
	}
	defer n.locks.lock(name)()
	if msg == nil {
		err = n.erase(ctx, name)
		if err == nil {
			err = n.state.set(name, entry{})
		}
	} else {
		var v value
		if v, err = decodeValue(msg.Data); err == nil {
			err = n.take(ctx, p, name, msg.Sequence, v, false)
		}
	}
	if err == nil {
		err = n.repeat(ctx, name)
	}
	if err == nil {
		err = n.state.unfold(name)
	}
	return err
}

// take makes the folder what a value says, and drops what of the queue is in it. With again, the
// node's own operations that are not in the value are applied after it. The caller has the lock of
// the profile.
func (n *Node) take(ctx context.Context, p int, name string, seq uint64, v value, again bool) error {
	defer n.changed.raise()
	e := entry{Seq: seq, Epoch: v.epoch, Through: v.through, Gone: v.gone}
	if v.gone {
		n.keys.drop(name)
		if err := n.erase(ctx, name); err != nil {
			return err
		}
	} else {
		who, err := n.open1(ctx, p, name, seq, v)
		if errors.Is(err, errSuperseded) {
			return nil // what replaced it comes
		}
		if errors.Is(err, errNoKey) {
			return n.take(ctx, p, name, seq, nobody(v), again)
		}
		if err != nil {
			return err
		}
		_, err = n.folder.Import(ctx, bytes.NewReader(who.bundle), &sdk.ImportOptions{Policy: sdk.Overwrite})
		if err != nil {
			return err
		}
		e.ID = seal(n.secrets.local, []byte(who.id), name)
	}
	err := n.state.drop(name, func(p pending) bool {
		return p.Sent != 0 && p.Sent <= v.through || p.Epoch < v.epoch
	})
	if err == nil {
		err = n.state.set(name, e)
	}
	if err == nil && again {
		err = n.repeat(ctx, name)
	}
	return err
}

// errSuperseded says that a value cannot be read any more, because another has taken its place.
var errSuperseded = errors.New("fleet: value was replaced")

// open1 opens a value. If it does not open with the key that is there now, the person was forgotten
// meanwhile, or the value is damaged.
func (n *Node) open1(ctx context.Context, p int, name string, seq uint64, v value) (person, error) {
	place := n.valueSubject(p, personKey+name)
	if key, ok := n.keys.get(name); ok {
		if who, err := v.open(key, place); err == nil {
			return who, nil
		}
	}
	key, err := n.readKey(ctx, p, name)
	if err != nil {
		return person{}, err
	}
	who, err := person{}, errNoKey
	if key != nil {
		who, err = v.open(key, place)
	}
	if err == nil {
		n.keys.put(name, key)
		return who, nil
	}
	now, readErr := n.last(ctx, n.valuesStream(p), place)
	if readErr != nil {
		return person{}, readErr
	}
	if now == nil || now.Sequence != seq {
		return person{}, errSuperseded
	}
	return person{}, err
}

// idOf is the id of a profile that the folder may have, else "": by a value, by what a learner has
// under way, or by the node's own operations.
func (n *Node) idOf(name string) (string, error) {
	e, err := n.state.entry(name)
	if err != nil {
		return "", err
	}
	if e.ID != nil {
		id, err := unseal(n.secrets.local, e.ID, name)
		return string(id), err
	}
	if id, err := n.state.foldingID(name); err != nil || id != "" {
		return id, err
	}
	waits, err := n.state.waiting(name)
	if err != nil || len(waits) == 0 {
		return "", err
	}
	return waits[0].op.Profile, nil
}

// erase forgets a profile in the folder.
func (n *Node) erase(ctx context.Context, name string) error {
	id, err := n.idOf(name)
	if err != nil || id == "" {
		return err
	}
	if err := n.folder.Forget(ctx, id); !errors.Is(err, sdk.ErrProfileNotFound) {
		return err
	}
	return nil
}

// vanished forgets a profile that the fleet does not know any more.
func (n *Node) vanished(name string) {
	defer n.locks.lock(name)()
	err := n.erase(n.ctx, name)
	if err == nil {
		err = n.state.set(name, entry{})
	}
	if err == nil {
		err = n.repeat(n.ctx, name)
	}
	if err != nil {
		n.config.Logger.Error("forgetting what the fleet has lost", "error", err)
	}
}

// repeat applies the node's own operations that no value has.
func (n *Node) repeat(ctx context.Context, name string) error {
	waits, err := n.state.waiting(name)
	if err != nil {
		return err
	}
	for _, w := range waits {
		if err := applyOp(ctx, n.folder, w.op); err != nil {
			n.config.Logger.Warn("an operation of this node's does not apply", "kind", w.op.Kind, "error", err)
		}
	}
	return nil
}

// applyOp applies an operation that needs no training.
func applyOp(ctx context.Context, f *sdk.Folder, o op) (err error) {
	switch o.Kind {
	case opObserve:
		for _, e := range o.Examples {
			err = errors.Join(err, f.Observe(ctx, o.Profile, e))
		}
	case opErase:
		err = f.ForgetExample(ctx, o.Profile, o.Text, &sdk.ForgetExampleOptions{Pair: o.Pair})
	case opPrivate:
		err = f.SetPrivate(ctx, o.Profile, o.Private)
	case opImport:
		_, err = f.Import(ctx, bytes.NewReader(o.Bundle), &sdk.ImportOptions{Policy: sdk.Overwrite})
	default:
		err = fmt.Errorf("%w: operation %.20q", ErrSchema, o.Kind)
	}
	return err
}

// readKey reads a profile's key from the leader of the keys; nil if there is none.
func (n *Node) readKey(ctx context.Context, p int, name string) ([]byte, error) {
	msg, err := n.last(ctx, n.keysStream(p), n.keySubject(p, name))
	if err != nil || msg == nil || len(msg.Data) == 0 {
		return nil, err
	}
	return unseal(n.secrets.wrap, msg.Data, name)
}

// makeKey returns a profile's key, and makes it if there is none.
func (n *Node) makeKey(ctx context.Context, p int, name string) ([]byte, error) {
	for range attempts {
		key, err := n.readKey(ctx, p, name)
		if err != nil || key != nil {
			return key, err
		}
		key = newKey()
		_, err = n.write(ctx, n.keySubject(p, name), seal(n.secrets.wrap, key, name), 0, newID())
		if err == nil || !errors.Is(err, errConflict) {
			return key, err
		}
	}
	return nil, errConflict
}

// destroyKey overwrites a profile's key on the servers.
func (n *Node) destroyKey(ctx context.Context, p int, name string) error {
	n.keys.drop(name)
	msg, err := n.last(ctx, n.keysStream(p), n.keySubject(p, name))
	if err != nil || msg == nil {
		return err
	}
	return again(ctx, func(ctx context.Context) error {
		st, err := n.bound(ctx, n.keysStream(p))
		if err != nil {
			return err
		}
		if err := st.SecureDeleteMsg(ctx, msg.Sequence); err != nil {
			if left, readErr := n.last(ctx, n.keysStream(p), n.keySubject(p, name)); readErr != nil || left != nil {
				return err
			}
		}
		return nil
	})
}

// keyCache keeps the keys of some profiles in memory.
type keyCache struct {
	mu   sync.Mutex
	keys map[string][]byte
}

const mostKeys = 1 << 14

func (c *keyCache) get(name string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, ok := c.keys[name]
	return key, ok
}

func (c *keyCache) put(name string, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= mostKeys {
		c.keys = map[string][]byte{}
	}
	c.keys[name] = key
}

func (c *keyCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys = nil
}

func (c *keyCache) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, name)
}
