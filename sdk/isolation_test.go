package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

const (
	townSize = 500
	// farApart is by how much the answers of a profile's revisions differ at least, so that an
	// answer tells which it came from.
	farApart = 1e-2
	question = "server down"
)

// TestManyRevisions has 500 profiles imported, learned, rolled back and forgotten, adapters evicted
// and the file compacted, while others ask. Every answer must be the one that the judge, a store
// with one profile at a time, gives for exactly one of the revisions that there were during the
// call.
func TestManyRevisions(t *testing.T) {
	t.Parallel()
	for name, key := range map[string][]byte{"clear": nil, "encrypted": bytes.Repeat([]byte{5}, store.MasterKeySize)} {
		t.Run(name, func(t *testing.T) {
			c := strong(t)
			// some six adapters
			c.Options.Workers, c.Options.Learns, c.Options.CacheBytes, c.Options.MasterKey = 3, 2, 20_000, key
			c.Options.ObserveEvery = 1 << 20
			cr := newTown(t, create(t, c))
			cr.run(townTime(t))
			cr.check()
		})
	}
}

func townTime(t *testing.T) time.Duration {
	if s := os.Getenv("XPEFT_ISOLATION"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return 4 * time.Second
}

// life is what became of one profile, in its order.
type life struct {
	mu     sync.Mutex // one writer at a time
	states []state
}

// state of a profile: what a call that began and ended then left.
type state struct {
	began, ended time.Duration
	record       *store.Profile // nil: none
	answer       Prediction
}

// askedRow is one answer.
type askedRow struct {
	began, ended time.Duration
	id           int
	answer       Prediction
}

type town struct {
	t     *testing.T
	p     *Folder
	start time.Time
	judge struct {
		sync.Mutex
		p *Folder
	}
	masks   []*bitmask.Mask // whose answers are apart
	lives   [townSize]life
	answers [][]askedRow
	stop    atomic.Bool
	counts  [6]atomic.Int64 // of writes, by kind
}

func townID(i int) string { return fmt.Sprintf("user-%03d", i) }

func newTown(t *testing.T, p *Folder) *town {
	c := &town{t: t, p: p, start: time.Now(), answers: make([][]askedRow, 6)}
	j := strong(t)
	j.Options.CacheBytes = 1
	c.judge.p = create(t, j)
	c.pickMasks()
	for i := range c.lives {
		c.install(rand.New(rand.NewPCG(1, uint64(i))), i)
	}
	return c
}

// pickMasks finds masks whose answers differ.
func (c *town) pickMasks() {
	r := rand.New(rand.NewPCG(2, 3))
	var answers []Prediction
	for range 400 {
		m, err := bitmask.New(8, 1, 2)
		if err != nil {
			c.t.Fatal(err)
		}
		for row := range 4 {
			m.Row(bitmask.Side(row/2), row%2).Set(r.IntN(8))
		}
		answer := c.judged(&store.Profile{Bank: 1, Head: 1, Mask: m})
		if !anyNear(answer, answers) {
			c.masks, answers = append(c.masks, m), append(answers, answer)
		}
	}
	if len(c.masks) < 12 {
		c.t.Fatalf("got %d masks whose answers differ by %g, want a dozen", len(c.masks), farApart)
	}
}

func anyNear(answer Prediction, others []Prediction) bool {
	for _, other := range others {
		if distance(answer, other) < farApart {
			return true
		}
	}
	return false
}

// judged is what a record answers when there is nothing else.
func (c *town) judged(rec *store.Profile) Prediction {
	c.judge.Lock()
	defer c.judge.Unlock()
	alone := *rec
	alone.ID = "alone"
	if _, err := c.judge.p.store.Put(context.Background(), &alone, store.Write{}); err != nil {
		c.t.Error(err)
	}
	return expect(c.t, c.judge.p, "alone", question)
}

// fresh is a mask whose answer none of the last revisions gives.
func (l *life) fresh(c *town, r *rand.Rand) (*bitmask.Mask, Prediction) {
	var last []Prediction
	for _, s := range l.states[max(0, len(l.states)-6):] {
		if s.record != nil {
			last = append(last, s.answer)
		}
	}
	for {
		m := c.masks[r.IntN(len(c.masks))]
		if a := c.judged(&store.Profile{Bank: 1, Head: 1, Mask: m}); !anyNear(a, last) {
			return m, a
		}
	}
}

// install imports a profile, in the place of what there is.
func (c *town) install(r *rand.Rand, i int) {
	l, ctx := &c.lives[i], context.Background()
	m, _ := l.fresh(c, r)
	c.judge.Lock()
	var b bytes.Buffer
	_, err := c.judge.p.store.Put(ctx, &store.Profile{ID: townID(i), Bank: 1, Head: 1, Mask: m}, store.Write{})
	_, exportErr := c.judge.p.Export(ctx, &b, &ExportOptions{IDs: []string{townID(i)}})
	err = errors.Join(err, exportErr, c.judge.p.Forget(ctx, townID(i)))
	c.judge.Unlock()
	if err != nil {
		c.t.Error(err)
	}
	c.write(0, i, func() error {
		_, err := c.p.Import(ctx, &b, &ImportOptions{Policy: Overwrite})
		return err
	})
}

// write runs a call that changes a profile, and notes what it left.
func (c *town) write(kind, i int, call func() error) {
	s := state{began: time.Since(c.start)}
	err := call()
	s.ended = time.Since(c.start)
	if err != nil && !errors.Is(err, ErrProfileNotFound) && !errors.Is(err, ErrRevisionNotFound) {
		c.t.Errorf("%s: %v", townID(i), err)
	}
	rec, err := c.p.store.Get(townID(i))
	if err == nil {
		s.record, s.answer = rec, c.judged(rec)
	} else if !errors.Is(err, ErrProfileNotFound) {
		c.t.Error(err)
	}
	c.lives[i].states = append(c.lives[i].states, s)
	c.counts[kind].Add(1)
}

func (c *town) change(r *rand.Rand, i int) {
	ctx, id := context.Background(), townID(i)
	l := &c.lives[i]
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r.IntN(10) {
	case 0, 1:
		c.write(1, i, func() error { return c.p.Forget(ctx, id) })
	case 2, 3:
		c.write(2, i, func() error { _, err := c.p.Rollback(ctx, id, nil); return err })
	case 4:
		o := forced()
		o.Config.Nu = 2
		c.write(3, i, func() error { _, err := c.p.Learn(ctx, id, examples(4, r.IntN(3)), o); return err })
	case 5, 6:
		m, _ := l.fresh(c, r)
		c.write(4, i, func() error {
			_, err := c.p.store.Put(ctx, &store.Profile{ID: id, Bank: 1, Head: 1, Mask: m}, store.Write{})
			return err
		})
	default:
		c.install(r, i)
	}
}

// ask notes the answers to batches of some profiles.
func (c *town) ask(r *rand.Rand, out *[]askedRow) {
	for !c.stop.Load() {
		reqs, ids := make([]Request, 1+r.IntN(12)), make([]int, 12)
		for j := range reqs {
			ids[j] = r.IntN(townSize)
			reqs[j] = Request{Profile: townID(ids[j]), Text: question}
		}
		began := time.Since(c.start)
		answers, err := c.p.PredictBatch(context.Background(), reqs)
		ended := time.Since(c.start)
		if err != nil {
			c.t.Error(err)
			return
		}
		for j, a := range answers {
			*out = append(*out, askedRow{began, ended, ids[j], a})
		}
	}
}

func (c *town) run(long time.Duration) {
	var all sync.WaitGroup
	begin := func(f func(r *rand.Rand), seed uint64) {
		all.Add(1)
		go func() {
			defer all.Done()
			f(rand.New(rand.NewPCG(4, seed)))
		}()
	}
	for i := range c.answers {
		begin(func(r *rand.Rand) { c.ask(r, &c.answers[i]) }, uint64(i))
	}
	for i := range 3 {
		begin(func(r *rand.Rand) {
			for !c.stop.Load() {
				c.change(r, r.IntN(townSize))
			}
		}, uint64(10+i))
	}
	begin(func(*rand.Rand) {
		for !c.stop.Load() {
			c.compact()
			time.Sleep(50 * time.Millisecond)
		}
	}, 20)
	time.Sleep(long)
	c.stop.Store(true)
	all.Wait()
}

// check looks for the one revision that each answer is of.
func (c *town) check() {
	checked, missing, bad := 0, 0, 0
	for _, answers := range c.answers {
		for _, a := range answers {
			checked++
			if a.answer.Err != nil {
				missing++
			}
			if matches := c.matches(a); matches != 1 && bad < 5 {
				bad++
				c.t.Errorf("%s: %d revisions give the answer %+v", townID(a.id), matches, a.answer)
			}
		}
	}
	s := c.p.cache.snapshot()
	c.t.Logf("%d answers checked, %d of them ErrProfileNotFound; %d imports, %d forgets, %d rollbacks, %d learns, "+
		"%d puts, %d compactions, %d evictions, %d masks", checked, missing,
		c.counts[0].Load(), c.counts[1].Load(), c.counts[2].Load(), c.counts[3].Load(), c.counts[4].Load(),
		c.counts[5].Load(), s.Evictions, len(c.masks))
	if checked == 0 || missing == 0 || s.Evictions == 0 {
		c.t.Error("want answers, profiles that were not there, and evictions")
	}
}

// matches counts the different answers, of the states that there may have been during a call, which
// are the one it got.
func (c *town) matches(a askedRow) (n int) {
	states := c.lives[a.id].states
	var counted []state
	for i, s := range states {
		if a.ended < s.began || i+1 < len(states) && a.began > states[i+1].ended || !s.gives(a.answer) {
			continue
		}
		if !alike(s, counted) {
			counted = append(counted, s)
			n++
		}
	}
	return n
}

func (s state) gives(a Prediction) bool {
	if s.record == nil {
		return errors.Is(a.Err, ErrProfileNotFound)
	}
	return a.Err == nil && a.Revision == s.record.Revision && distance(a, s.answer) <= 1e-5
}

// alike says whether a state is one of those again: no profile, or the revision that a call that
// failed left.
func alike(s state, others []state) bool {
	for _, o := range others {
		if s.record == nil && o.record == nil || s.record != nil && o.record != nil &&
			s.record.Updated.Equal(o.record.Updated) && s.record.Revision == o.record.Revision {
			return true
		}
	}
	return false
}

func (c *town) compact() {
	if _, err := c.p.Compact(context.Background()); err != nil {
		c.t.Errorf("compact: %v", err)
	}
	c.counts[5].Add(1)
}
