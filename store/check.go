package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/format"
)

// CheckReport is what Check found.
type CheckReport struct {
	Profiles  int // that ids lead to
	Revisions int // earlier ones
	States    int
	Examples  int
	Banks     int
	Heads     int
	Cohorts   int // sets of them that were compared with the records, if deep; an encrypted store has none
	// Summed says that the keys were compared with the file's sums of them.
	// False is a file of an older version, opened read-only, that has none.
	Summed bool
	// TornMeta says that one of the two meta pages is not whole. A crash in the
	// middle of a commit leaves that, and nothing that was acknowledged is
	// lost; a flipped bit leaves it too, and then the last transaction may be.
	TornMeta bool
	// Problems say what is wrong and where; none: the file is sound. They are
	// the first 1,000, and More is how many there are beside them.
	Problems []string
	More     int
}

// maxProblems bounds a report.
const maxProblems = 1000

// Add adds to the problems, or counts them.
func (r *CheckReport) Add(problems ...string) {
	n := min(len(problems), maxProblems-len(r.Problems))
	r.Problems = append(r.Problems, problems[:n]...)
	r.More += len(problems) - n
}

// Found is how many problems there are.
func (r *CheckReport) Found() int { return len(r.Problems) + r.More }

// Check reads the whole file, as it is at one moment, and says what is wrong
// with it: bbolt's pages, every value's checksum, every record, that no key was
// lost, and that ids, numbers, banks and heads lead to each other. Deep also
// compares the cohorts with the records. It goes on past what is damaged. Writers
// wait for the first part of it. If there are Problems the error is ErrCorrupt.
func (s *Store) Check(ctx context.Context, deep bool) (CheckReport, error) {
	c := &checker{ctx: ctx, rules: &s.rules}
	// The walk over the pages looks at the newest state, and so bears no writer
	// beside it; the rest reads its snapshot.
	if err := s.writer.lockFor(ctx); err != nil {
		return c.report, fmt.Errorf("store: check: %w", err)
	}
	unlock := sync.OnceFunc(s.writer.Unlock)
	defer unlock()
	defer s.readLong()()
	err := s.view(func(t *txn) error {
		w := newWalk(func(wrong error) { c.problem("page structure: %v", wrong) })
		whole := w.All(s.db.Load().file)
		c.report.TornMeta = w.Meta.Torn
		if whole != nil && !errors.Is(whole, ErrCorrupt) {
			return whole
		}
		if w.Unsafe {
			return whole
		}
		unlock()
		c.t = t
		return c.run(deep)
	})
	if err != nil && (len(c.report.Problems) == 0 || !errors.Is(err, ErrCorrupt)) {
		return c.report, fmt.Errorf("store: check: %w", err)
	}
	if n := c.report.Found(); n > 0 {
		return c.report, corrupt("check: %d problems; the first: %s", n, c.report.Problems[0])
	}
	return c.report, nil
}

type checker struct {
	ctx    context.Context
	t      *txn
	rules  *cohortRules
	report CheckReport

	keys        map[byte]uint64 // how many, by the tag of their bucket
	sums        format.Sums     // of the keys
	recordBytes uint64
	maskBytes   uint64
	vanished    bool // some profiles were deleted, and their keys, since Check began
	banks       map[uint32]BankInfo
	heads       map[uint32]bool
	led         *roaring.Bitmap // numbers that ids lead to
	staged      *roaring.Bitmap // and those that an import of an older version has staged
	last        uint32          // number of the example before
	person      Person          // of that
	personErr   error
	waiting     map[uint32]int // by number, of the examples
}

func (c *checker) problem(format string, args ...any) { c.report.Add(fmt.Sprintf(format, args...)) }

// unreadable is problem, unless the profile was deleted since Check began.
func (c *checker) unreadable(err error) {
	if errors.Is(err, errVanished) {
		c.vanished = true
	} else {
		c.problem("%v", err)
	}
}

func (c *checker) run(deep bool) error {
	c.keys, c.banks, c.heads, c.waiting = map[byte]uint64{}, map[uint32]BankInfo{}, map[uint32]bool{}, map[uint32]int{}
	c.led, c.staged = roaring.New(), roaring.New()
	defer func() { // also if ctx ends
		c.report.Banks, c.report.Heads = len(c.banks), len(c.heads)
		c.report.Profiles, c.report.Revisions = int(c.keys[tagID]), int(c.keys[format.TagHistory])
		c.report.States, c.report.Examples = int(c.keys[format.TagState]), int(c.keys[format.TagExample])
	}()
	var steps []func() error
	for _, b := range backedUp {
		if b.bucket != nil {
			steps = append(steps, func() error { return c.each(b.bucket, func(k, v []byte) { c.pair(b, k, v) }) })
		}
	}
	steps = append(steps, c.checkDigests, c.checkFree, c.checkWaiting, c.checkChanges, c.checkTally, c.checkSums)
	if deep {
		steps = append(steps, c.checkCohorts)
	}
	for _, step := range steps {
		err := c.t.named(guarded(step))
		if d := (*damage)(nil); errors.As(err, &d) {
			c.problem("%v", err) // and on to the next bucket
			err = nil
		}
		if err := errors.Join(c.ctx.Err(), err); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) each(name []byte, fn func(k, v []byte)) error {
	c.t.reading = name
	read := cmp.Or(c.sums.Of(name), new(format.Sum))
	for k, v := range c.t.Bucket(name).all() {
		if read.Add(k); read.Keys%1024 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		fn(k, v)
	}
	return nil
}

func (c *checker) pair(b backedUpBucket, k, v []byte) {
	tag := b.tag
	c.keys[tag]++
	if n, err := format.Number(k); tag == format.TagRecord && err == nil && c.led.Contains(n) {
		return // its id led to it
	}
	p, err := c.t.validPair(tag, false, k, v)
	if err != nil {
		c.unreadable(err)
		if tag == format.TagWaiting {
			delete(c.waiting, p.n) // something is said of it
		}
		return
	}
	switch tag {
	case format.TagBank:
		c.banks[p.n] = p.bank
		c.ledToBy(tag, p)
	case format.TagHead:
		c.heads[p.n] = true
		c.ledToBy(tag, p)
	case format.TagName:
		if !c.heads[p.n] {
			c.problem("head name %q: no head %d", k, p.n)
		}
	case tagID:
		c.id(k, p.n)
	case format.TagRecord:
		switch {
		case bytes.Equal(c.t.ids.Get(c.t.idKey([]byte(p.profile.ID))), k): // behind a page of ids that is damaged
		case c.t.Tx.Bucket(format.Staging) == nil:
			c.problem("record %x: no id leads to it", k)
		default:
			c.staged.Add(p.n)
		}
	case format.TagHistory, format.TagState, format.TagExample, format.TagPerson, format.TagWaiting:
		if c.t.profiles.Get(k[:4]) == nil {
			c.problem("%s %x: no profile has the number", b.bucket, k)
			return
		}
		c.ofProfile(tag, p, k)
	}
}

// ledToBy says whether the digest of a bank or a head leads to it.
func (c *checker) ledToBy(tag byte, p pair) {
	if !bytes.Equal(c.t.Bucket(format.Digests).Get(digestKey(tag, p.digest)), format.Key(p.n)) {
		c.problem("%s %d: its digest %s does not lead to it", bucketOf(tag).what, p.n, p.digest.Short())
	}
}

func (c *checker) id(k []byte, n uint32) {
	c.t.reading = bytes.Clone(k) // errors are named after the transaction
	p, err := c.t.numbered(k, n)
	if !c.led.CheckedAdd(n) && err == nil {
		err = corrupt("profile %q: number %d has another id", k, n)
	}
	c.recordBytes += uint64(len(c.t.profiles.Get(format.Key(n))))
	if err != nil {
		c.unreadable(err)
		return
	}
	c.maskBytes += uint64(p.MaskBytes())
	if err := p.overBanks(bankOf(c.banks)); err != nil {
		c.problem("profile %q: %v", p.ID, err)
	}
	if p.Head != 0 && !c.heads[p.Head] {
		c.problem("profile %q: no head %d", p.ID, p.Head)
	}
}

// checkDigests counts them: that there is one for each bank and head is known.
func (c *checker) checkDigests() error {
	digests := 0
	err := c.each(format.Digests, func(_, _ []byte) { digests++ })
	if want := len(c.banks) + len(c.heads); digests != want {
		c.problem("digests: got %d, want %d, one for each bank and head", digests, want)
	}
	return err
}

// checkFree sees to it that every number is either used or free.
func (c *checker) checkFree() error {
	free := uint64(0)
	err := c.each(format.Free, func(k, _ []byte) {
		free++
		if c.t.profiles.Get(k) != nil {
			c.problem("number %x: free, but has a record", k)
		}
	})
	records := c.keys[format.TagRecord]
	if tally, terr := readTally(c.t.Tx); terr == nil && records+free+1 != tally.NextNumber {
		c.problem("numbers: %d used and %d free, want %d", records, free, tally.NextNumber-1)
	}
	return err
}
