//go:build cgo

package sdk

import (
	"container/list"
	"context"
	"crypto/sha256"
	"sync"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/store"
)

// contentKey names a folded adapter by all that it is made of, so that nobody is ever served another's: the bank, the masks and the affine. It
// knows nothing of profiles: two with the same masks share one.
type contentKey [32]byte

func keyOf(bankDigest bank.Digest, p *store.Profile) contentKey {
	h := sha256.New()
	h.Write(bankDigest[:])
	h.Write([]byte{byte(p.Mask.K), byte(p.Mask.K >> 8), byte(p.Mask.K >> 16)})
	h.Write(p.Mask.Bytes())
	h.Write(p.Affine)
	return contentKey(h.Sum(nil))
}

// cache keeps folded adapters within a budget of bytes, the least recently used leave first. An entry in use is pinned: the budget may be passed
// by what is in use at one time. Concurrent misses of one key fold once.
type cache struct {
	mu     sync.Mutex
	budget int64
	bytes  int64
	byKey  map[contentKey]*entry
	idle   *list.List // of *entry that nobody uses, most recent first
	stats  CacheStats
}

// entry is one folded adapter, or one that is being folded.
type entry struct {
	key    contentKey
	ready  chan struct{} // closed when folded or err is set
	folded *bank.Folded
	err    error
	users  int
	place  *list.Element // in idle
}

// CacheStats of the folded adapters.
type CacheStats struct {
	Entries   int64 `json:"entries"` // now
	Bytes     int64 `json:"bytes"`   // now
	Hits      int64 `json:"hits"`
	Misses    int64 `json:"misses"`
	Evictions int64 `json:"evictions"`
}

func newCache(budget int64) *cache {
	return &cache{budget: budget, byKey: map[contentKey]*entry{}, idle: list.New()}
}

// acquire pins the entry of key. mine says that the caller must fold it and call fill; otherwise it must wait. Either way it must release.
func (c *cache) acquire(key contentKey) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.byKey[key]
	if e == nil {
		e = &entry{key: key, ready: make(chan struct{})}
		c.byKey[key] = e
		c.stats.Misses++
		e.users = 1
		return e, true
	}
	c.stats.Hits++
	if e.place != nil {
		c.idle.Remove(e.place)
		e.place = nil
	}
	e.users++
	return e, false
}

// fill gives the entry its adapter, or an error: then the key is free again for the next caller.
func (c *cache) fill(e *entry, f *bank.Folded, err error) {
	c.mu.Lock()
	e.folded, e.err = f, err
	switch {
	case err == nil:
		c.bytes += f.Bytes()
	case c.byKey[e.key] == e: // else it was dropped, and the key may have a new entry
		delete(c.byKey, e.key)
	}
	victims := c.evict()
	c.mu.Unlock()
	close(e.ready)
	free(victims)
}

// wait blocks until the entry was filled, with an adapter or an error.
func (e *entry) wait(ctx context.Context) error {
	select {
	case <-e.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release unpins.
func (c *cache) release(e *entry) {
	c.mu.Lock()
	e.users--
	var victims []*bank.Folded
	switch {
	case e.users > 0:
	case c.byKey[e.key] == e:
		e.place = c.idle.PushFront(e)
		victims = c.evict()
	case e.folded != nil: // dropped while it was in use
		c.bytes -= e.folded.Bytes()
		victims = append(victims, e.folded)
	}
	c.mu.Unlock()
	free(victims)
}

// evict takes entries out until the rest fits. The caller frees them outside of the lock.
func (c *cache) evict() (victims []*bank.Folded) {
	for c.bytes > c.budget && c.idle.Len() > 0 {
		e := c.idle.Remove(c.idle.Back()).(*entry)
		e.place = nil
		delete(c.byKey, e.key)
		c.bytes -= e.folded.Bytes()
		c.stats.Evictions++
		victims = append(victims, e.folded)
	}
	return victims
}

func free(fs []*bank.Folded) {
	for _, f := range fs {
		f.Free()
	}
}

// drop forgets a key: its adapter is freed now, or by its last user.
func (c *cache) drop(key contentKey) {
	c.mu.Lock()
	var victims []*bank.Folded
	if e := c.byKey[key]; e != nil {
		delete(c.byKey, key)
		if e.place != nil {
			c.idle.Remove(e.place)
			e.place = nil
			c.bytes -= e.folded.Bytes()
			victims = append(victims, e.folded)
		}
	}
	c.mu.Unlock()
	free(victims)
}

func (c *cache) snapshot() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries, s.Bytes = int64(len(c.byKey)), c.bytes
	return s
}

// close frees everything. Nothing may be in use.
func (c *cache) close() {
	c.mu.Lock()
	c.budget = -1
	victims := c.evict()
	c.mu.Unlock()
	free(victims)
}
