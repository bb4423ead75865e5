package sdk

import (
	"container/list"
	"errors"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// snapshotTold is snapshot, with the label that the profile's stored examples give the request's
// text, from the same transaction; "" if none does.
func (p *Folder) snapshotTold(r Request) (s *snapshot, label string, err error) {
	if p.options.NoTaught || r.NoTaught {
		s, err = p.snapshot(r.Profile)
		return s, "", err
	}
	texts, token := p.taught.get(r.Profile)
	rec, told, err := p.store.GetTold(r.Profile, token)
	switch {
	case errors.Is(err, ErrProfileNotFound):
		p.taught.drop(r.Profile)
	case errors.Is(err, ErrCorrupt): // the examples may be what is damaged, and the record answers without them
		if s, err = p.snapshot(r.Profile); err == nil {
			p.options.Logger.Warn("stored examples cannot be read: the model answers for them")
		}
		return s, "", err
	}
	if err != nil {
		return nil, "", err
	}
	if s, err = p.open(rec); err != nil {
		return nil, "", err
	}
	switch {
	case told.Token == (store.ExamplesToken{}):
		p.taught.drop(r.Profile)
		return s, "", nil
	case told.Known:
		p.taught.confirm(texts, told.Token)
	default:
		texts = newTaughtTexts(r.Profile, told, p.options.ExampleAge)
		p.taught.put(texts)
	}
	return s, texts.label(p.options.texts.Key(r.Text, r.Pair)), nil
}

// taughtTexts says of which label the texts of a profile's stored examples are, by their keys.
type taughtTexts struct {
	id     string
	token  store.ExamplesToken // the cache's
	until  time.Time           // when the first of them is too old; zero: never
	keys   []uint64            // ascending; the low bits of each are the place of its label
	low    int                 // how many bits a place takes
	labels []string
}

func newTaughtTexts(id string, told store.Told, age time.Duration) *taughtTexts {
	t, byKey, places := &taughtTexts{id: id, token: told.Token}, map[uint64]string{}, map[string]uint64{}
	for _, e := range told.Examples { // the oldest first: an older file may have one text twice
		if e.Rejected || folder.IsNumber(e.Label) || folder.IsChoice(e.Label) {
			continue
		}
		byKey[e.Key] = e.Label
		if end := e.Time.Add(age); age > 0 && !e.Time.IsZero() && (t.until.IsZero() || end.Before(t.until)) {
			t.until = end
		}
	}
	for _, label := range byKey {
		if _, ok := places[label]; !ok {
			places[label] = uint64(len(t.labels))
			t.labels = append(t.labels, label)
		}
	}
	t.low = bits.Len(uint(len(t.labels)))
	t.keys = make([]uint64, 0, len(byKey))
	for key, label := range byKey {
		t.keys = append(t.keys, key>>t.low<<t.low|places[label])
	}
	slices.Sort(t.keys)
	return t
}

// label of the text with a key, "" if there is none.
func (t *taughtTexts) label(key uint64) string {
	high := key >> t.low
	if i, _ := slices.BinarySearch(t.keys, high<<t.low); i < len(t.keys) && t.keys[i]>>t.low == high {
		return t.labels[t.keys[i]&(1<<t.low-1)]
	}
	return ""
}

// bytes in memory, about.
func (t *taughtTexts) bytes() int64 {
	n := 256 + len(t.id) + 8*len(t.keys)
	for _, l := range t.labels {
		n += 16 + len(l)
	}
	return int64(n)
}

// taughtShare is the part of Options.CacheBytes that taughtTexts may take: one in so many.
const taughtShare = 8

// taughtCache keeps the taughtTexts of the profiles that were asked for last. What they take, the
// cache of adapters does not have.
type taughtCache struct {
	mu       sync.Mutex
	most     int64
	bytes    int64
	byID     map[string]*list.Element
	recent   list.List // the last one first
	adapters *cache
}

func newTaughtCache(adapters *cache) *taughtCache {
	return &taughtCache{most: adapters.budget / taughtShare, byID: map[string]*list.Element{}, adapters: adapters}
}

// get returns a profile's, with the token that is known for them; nil and none if there are none,
// or if one of the texts is too old by now.
func (c *taughtCache) get(id string) (*taughtTexts, store.ExamplesToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id]
	if e == nil {
		return nil, store.ExamplesToken{}
	}
	t := e.Value.(*taughtTexts)
	if !t.until.IsZero() && time.Now().After(t.until) {
		return nil, store.ExamplesToken{}
	}
	c.recent.MoveToFront(e)
	return t, t.token
}

// confirm gives texts the newest token that stands for them.
func (c *taughtCache) confirm(t *taughtTexts, token store.ExamplesToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.token = token
}

// put takes the place of what was there of the profile.
func (c *taughtCache) put(t *taughtTexts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(t.id)
	c.byID[t.id] = c.recent.PushFront(t)
	c.bytes += t.bytes()
	for c.bytes > c.most {
		c.remove(c.recent.Back().Value.(*taughtTexts).id)
	}
	c.adapters.setBeside(c.bytes)
}

func (c *taughtCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.remove(id) {
		c.adapters.setBeside(c.bytes)
	}
}

func (c *taughtCache) remove(id string) bool {
	e := c.byID[id]
	if e != nil {
		delete(c.byID, id)
		c.bytes -= c.recent.Remove(e).(*taughtTexts).bytes()
	}
	return e != nil
}
