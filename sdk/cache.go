package sdk

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// contentKey names what was folded by all that it is made of, so that nobody is ever served
// another's: the bank, the masks and the affine, the axes and the digits. It knows nothing of
// profiles: two with the same masks share one.
type contentKey [32]byte

func keyOf(masks, axes bank.Digest, p *store.Profile) contentKey {
	h := sha256.New()
	if p.Mask != nil {
		h.Write(masks[:])
		h.Write([]byte{byte(p.Mask.K), byte(p.Mask.K >> 8), byte(p.Mask.K >> 16)})
		h.Write(p.Mask.Bytes())
		h.Write(p.Affine)
	}
	codes, _ := splitCodes(p.Codes) // what orders candidates is in no answer of Predict
	for _, c := range codes {
		h.Write(axes[:])
		for _, label := range c.Labels {
			h.Write(binary.LittleEndian.AppendUint32(nil, label))
		}
		h.Write(c.Rows)
		h.Write(c.Scales)
	}
	return contentKey(h.Sum(nil))
}

// folded is what a profile's masks and digits are worth to a pass.
type folded struct {
	adapter *model.Adapter // nil without masks
	codeRows
}

// Bytes is the memory that it holds.
func (f *folded) Bytes() (n int64) {
	if a := f.adapter; a != nil {
		n = 4 * int64(len(a.Down)+len(a.Up)+len(a.DownBias)+len(a.UpBias)+len(a.Norm))
	}
	for _, row := range f.rows {
		n += 24 + 4*int64(len(row))
	}
	return n + 4*int64(len(f.offset)+len(f.levels))
}

// cache keeps folded adapters within a budget of bytes. An entry in use is pinned. Concurrent
// misses of one key fold once.
//
// Who leaves is decided by two queues (2Q, Johnson and Shasha 1994). An adapter that was used once
// waits in the first and leaves from its end; one that was used again is hot, and falls back into
// the first when the hot ones take more than four fifths of the budget. So a pass over any number
// of profiles, once each, costs no hot one its place. Of those that left, as many keys are
// remembered as there are entries: who comes back is hot at once, so that hot ones that nobody asks
// for any more give way. The budget may be passed by what is in use at one time.
type cache struct {
	mu     sync.Mutex
	budget int64
	bytes  int64        // of all that is folded
	beside atomic.Int64 // bytes of the budget that other things take
	byKey  map[contentKey]*entry
	once   queue // of entries that nobody uses now, most recent first
	hot    queue
	left   memory
	stats  CacheStats
}

// entry is one folded adapter, or one that is being folded.
type entry struct {
	key    contentKey
	ready  chan struct{} // closed when folded or err is set
	folded *folded
	err    error
	users  int
	again  bool          // it was used more than once, or will be: a hot one
	in     *queue        // nil while it is used
	place  *list.Element // there
}

// queue is entries of one kind, with their bytes.
type queue struct {
	list.List
	bytes int64
}

func (q *queue) push(e *entry) {
	e.in, e.place = q, q.PushFront(e)
	q.bytes += e.folded.Bytes()
}

// leave takes e out of its queue, if it is in one.
func (e *entry) leave() {
	if e.in != nil {
		e.in.Remove(e.place)
		e.in.bytes -= e.folded.Bytes()
		e.in, e.place = nil, nil
	}
}

// memory is the keys of entries that left, most recent first.
type memory struct {
	list  list.List
	byKey map[contentKey]*list.Element
}

// add remembers key, and at most so many in all.
func (m *memory) add(key contentKey, most int) {
	m.remove(key)
	m.byKey[key] = m.list.PushFront(key)
	for m.list.Len() > most {
		m.remove(m.list.Back().Value.(contentKey))
	}
}

// remove forgets key, and says whether it was there.
func (m *memory) remove(key contentKey) bool {
	e := m.byKey[key]
	if e != nil {
		m.list.Remove(e)
		delete(m.byKey, key)
	}
	return e != nil
}

// CacheStats of folded digits and adapters. Bytes counts the keys of stored texts too
// (Options.NoTaught).
type CacheStats struct {
	Entries   int64 `json:"entries"` // now
	Bytes     int64 `json:"bytes"`   // now
	Hits      int64 `json:"hits"`
	Misses    int64 `json:"misses"`
	Evictions int64 `json:"evictions"`
}

func newCache(budget int64) *cache {
	return &cache{budget: budget, byKey: map[contentKey]*entry{}, left: memory{byKey: map[contentKey]*list.Element{}}}
}

// acquire pins the entry of key. mine says that the caller must fold it and call fill; otherwise it
// must wait. Either way it must release.
func (c *cache) acquire(key contentKey) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.byKey[key]
	if e == nil {
		e = &entry{key: key, ready: make(chan struct{}), again: c.left.remove(key)}
		c.byKey[key] = e
		c.stats.Misses++
		e.users = 1
		return e, true
	}
	c.stats.Hits++
	e.leave()
	e.again = true
	e.users++
	return e, false
}

// keep makes a pinned entry a hot one: it will be used again.
func (c *cache) keep(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.again = true
}

// fill gives the entry its adapter, or an error: then the key is free again for the next caller.
func (c *cache) fill(e *entry, f *folded, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.folded, e.err = f, err
	switch {
	case err == nil:
		c.bytes += f.Bytes()
	case c.byKey[e.key] == e: // else it was dropped, and the key may have a new entry
		delete(c.byKey, e.key)
	}
	c.evict()
	close(e.ready)
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
	defer c.mu.Unlock()
	e.users--
	switch {
	case e.users > 0:
	case c.byKey[e.key] == e:
		if e.again {
			c.hot.push(e)
		} else {
			c.once.push(e)
		}
		c.evict()
	case e.folded != nil: // dropped while it was in use
		c.bytes -= e.folded.Bytes()
	}
}

// room is the budget of the adapters.
func (c *cache) room() int64 { return c.budget - c.beside.Load() }

// setBeside says how much of the budget other things take.
func (c *cache) setBeside(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beside.Store(bytes)
	c.evict()
}

// evict takes entries out until the rest fits. The caller holds mu.
func (c *cache) evict() {
	for c.hot.Len() > 0 && c.hot.bytes > c.room()/5*4 {
		e := c.hot.Back().Value.(*entry)
		e.leave()
		e.again = false
		c.once.push(e)
	}
	for c.once.Len() > 0 && c.bytes > c.room() {
		e := c.once.Back().Value.(*entry)
		e.leave()
		delete(c.byKey, e.key)
		c.bytes -= e.folded.Bytes()
		c.left.add(e.key, len(c.byKey))
		c.stats.Evictions++
	}
}

// drop forgets a key. Whoever uses its adapter keeps it.
func (c *cache) drop(key contentKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left.remove(key)
	if e := c.byKey[key]; e != nil {
		delete(c.byKey, key)
		if e.in != nil {
			e.leave()
			c.bytes -= e.folded.Bytes()
		}
	}
}

func (c *cache) snapshot() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries, s.Bytes = int64(len(c.byKey)), c.bytes+c.beside.Load()
	return s
}

// close lets go of everything. Nothing may be in use.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget = -1
	c.evict()
}
