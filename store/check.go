package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
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
		w := pageWalk{problem: func(format string, args ...any) {
			c.problem("page structure: %v", fmt.Errorf(format, args...))
		}}
		whole := w.all(s.db.Load().file)
		c.report.TornMeta = w.meta.torn
		if whole != nil && !errors.Is(whole, ErrCorrupt) {
			return whole
		}
		if w.unsafe {
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

	found    tally // what the tally should say
	vanished bool  // some profiles were deleted, and their keys, since Check began
	banks    map[uint32]BankInfo
	heads    map[uint32]bool
	waiting  map[uint32]int // by number, of the examples
}

func (c *checker) problem(format string, args ...any) { c.report.Add(fmt.Sprintf(format, args...)) }

// unreadable is problem, unless the profile was deleted since Check began.
func (c *checker) unreadable(format string, args ...any) {
	if err := fmt.Errorf(format, args...); errors.Is(err, errVanished) {
		c.vanished = true
	} else {
		c.problem("%v", err)
	}
}

func (c *checker) run(deep bool) error {
	steps := []func() error{
		c.checkBanks, c.checkHeads, c.checkNames, c.checkValues, c.checkIDs,
		c.checkProfiles, c.checkStates, c.checkHistory, c.checkExamples, c.checkPeople, c.checkChanges, c.checkTally, c.checkSums,
	}
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

// each calls fn for every key of a bucket.
func (c *checker) each(name []byte, fn func(k, v []byte)) error {
	c.t.reading = name
	b, i := c.t.Bucket(name), 0
	if b == nil {
		return nil // one of laterBuckets, in an older file
	}
	return b.ForEach(func(k, v []byte) error {
		if i++; i%1024 == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
		fn(k, v)
		return nil
	})
}

func (c *checker) checkBanks() error {
	c.banks = map[uint32]BankInfo{}
	err := c.each(bktBanks, func(k, v []byte) {
		info, err := validBank(k, v)
		if err != nil {
			c.problem("%v", err)
			return
		}
		if !bytes.Equal(c.t.Bucket(bktDigests).Get(digestKey(kindBank, info.Digest)), k) {
			c.problem("bank %d: its digest %s does not lead to it", info.Ref, info.Digest.Short())
		}
		c.banks[info.Ref] = info
	})
	c.report.Banks = len(c.banks)
	return err
}

func (c *checker) checkHeads() error {
	c.heads = map[uint32]bool{}
	err := c.each(bktHeads, func(k, v []byte) {
		digest, err := validHead(k, v)
		if err != nil {
			c.problem("%v", err)
			return
		}
		if !bytes.Equal(c.t.Bucket(bktDigests).Get(digestKey(kindHead, digest)), k) {
			c.problem("head %d: its digest %s does not lead to it", binary.BigEndian.Uint32(k), digest.Short())
		}
		c.heads[binary.BigEndian.Uint32(k)] = true
	})
	c.report.Heads = len(c.heads)
	return err
}

func (c *checker) checkNames() error {
	digests := 0
	err := c.each(bktDigests, func(_, _ []byte) { digests++ })
	if want := len(c.banks) + len(c.heads); digests != want {
		c.problem("digests: got %d, want %d, one for each bank and head", digests, want)
	}
	return errors.Join(err, c.each(bktNames, func(k, v []byte) {
		switch ref, err := validHeadName(k, v); {
		case err != nil:
			c.problem("%v", err)
		case !c.heads[ref]:
			c.problem("head name %q: no head %d", k, ref)
		}
	}))
}

func (c *checker) checkValues() error {
	return c.each(bktValues, func(k, v []byte) {
		if err := validValue(k, v); err != nil {
			c.problem("%v", err)
		}
	})
}

// checkIDs follows every id that readers see to its record.
func (c *checker) checkIDs() error {
	i := 0
	for id, n := range c.t.from([]byte{}) {
		if i++; i%1024 == 0 {
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
		c.report.Profiles++
		p, err := c.t.numbered(id, n)
		if err != nil {
			c.unreadable("%w", err)
			continue
		}
		if err := p.overBanks(bankOf(c.banks)); err != nil {
			c.problem("profile %q: %v", p.ID, err)
		}
		if p.Head != 0 && !c.heads[p.Head] {
			c.problem("profile %q: no head %d", p.ID, p.Head)
		}
	}
	c.found.profiles = uint64(c.report.Profiles)
	return nil
}

// owner says whose record a number has: "" if it is readable but no id leads
// to it.
func (c *checker) owner(key []byte) (string, error) {
	n, err := number(key)
	if err != nil {
		return "", err
	}
	refs, err := c.t.refs(n)
	if err != nil || !bytes.Equal(c.t.ids.Get(c.t.idKey(refs.id)), key) {
		return "", err
	}
	return string(refs.id), nil
}

// staged says whether an import of an older version has staged profiles, which
// no id leads to.
func (c *checker) staged() bool { return c.t.Bucket(bktStaging) != nil }

// checkProfiles looks from the other side: that every record is led to, and
// every number is either used or free.
func (c *checker) checkProfiles() error {
	records := uint64(0)
	err := c.each(bktProfiles, func(k, v []byte) {
		records++
		owner, err := c.owner(k)
		switch {
		case err != nil:
			c.unreadable("record %x: %w", k, err) // said by checkIDs too, with its id
		case owner == "" && c.staged(): // not counted
			return
		case owner == "":
			c.problem("record %x: no id leads to it", k)
		}
		c.found.recordBytes += uint64(len(v))
		if n, err := number(k); err == nil {
			if p, err := c.t.decode(n); err == nil {
				c.found.maskBytes += uint64(p.MaskBytes())
			}
		}
	})
	if err != nil {
		return err
	}
	free := uint64(0)
	err = c.each(bktFree, func(k, _ []byte) {
		free++
		if c.t.profiles.Get(k) != nil {
			c.problem("number %x: free, but has a record", k)
		}
	})
	if tally, terr := readTally(c.t.Tx); terr == nil && records+free+1 != tally.nextNumber {
		c.problem("numbers: %d used and %d free, want %d", records, free, tally.nextNumber-1)
	}
	return err
}
