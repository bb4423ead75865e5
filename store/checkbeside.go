package store

import "errors"

// The parts of Check that look at what is stored beside the records.

func (c *checker) checkStates() error {
	return c.each(bktState, func(k, v []byte) {
		c.report.States++
		if c.t.profiles.Get(k) == nil {
			c.problem("state %x: no profile has the number", k)
			return
		}
		if err := c.t.validState(k, v); err != nil {
			c.unreadable("%w", err)
		}
	})
}

func (c *checker) checkHistory() error {
	return c.each(bktHistory, func(k, v []byte) {
		c.report.Revisions++
		p, err := c.t.validEarlier(k, v)
		if err != nil {
			c.unreadable("%w", err)
			return
		}
		now, err := c.t.decode(p.Number)
		if err != nil {
			c.unreadable("history %x: no profile has the number: %w", k, err)
		} else if now.ID != p.ID || now.Revision <= p.Revision {
			c.problem("history %x: revision %d of %q, but the profile is revision %d of %q",
				k, p.Revision, p.ID, now.Revision, now.ID)
		}
	})
}

func (c *checker) checkExamples() error {
	c.waiting = map[uint32]int{}
	var n uint32
	var person Person
	var perr error
	return c.each(bktExamples, func(k, v []byte) {
		at, _, err := validLongKey(k)
		if err != nil {
			c.problem("example %x: %v", k, err)
			return
		}
		if at != n {
			n = at
			person, perr = c.t.person(n) // said by checkPeople
		}
		e, err := c.t.validExample(k, v)
		if err != nil {
			c.unreadable("%w", err)
		} else if perr == nil {
			if e.Sequence >= person.next {
				c.problem("example %x: the next one is to be %d", k, person.next)
			}
			if person.awaits(e.Example) {
				c.waiting[n]++
			}
		}
		if c.t.profiles.Get(k[:4]) == nil {
			c.problem("example %x: no profile has the number", k)
			return
		}
		if owner, err := c.owner(k[:4]); err == nil && owner == "" && c.staged() {
			return
		}
		c.report.Examples++
		c.found.examples++
	})
}

// checkPeople looks at what is stored of persons, and compares what is said to
// wait with the examples. Of a person that an older file had nothing stored of
// nothing is said to wait.
func (c *checker) checkPeople() error {
	said := map[uint32]bool{}
	err := c.each(bktWaiting, func(k, v []byte) {
		count, err := validWaiting(k, v)
		n, _ := number(k)
		said[n] = true
		switch {
		case err != nil:
			c.problem("%v", err)
		case c.t.profiles.Get(k) == nil:
			c.problem("waiting %x: no profile has the number", k)
		case count != c.waiting[n] && !c.vanished:
			c.problem("waiting %x: %d examples, but there are %d", k, count, c.waiting[n])
		}
	})
	return errors.Join(err, c.each(bktPeople, func(k, v []byte) {
		_, err := c.t.validPerson(k, v)
		n, _ := number(k)
		switch {
		case err != nil:
			c.unreadable("%w", err)
		case c.t.profiles.Get(k) == nil:
			c.problem("person %x: no profile has the number", k)
		case c.waiting[n] > 0 && !said[n]:
			c.problem("person %x: %d examples wait, but none is said to", k, c.waiting[n])
		}
	}))
}

// checkChanges looks at what backups since others are made by.
func (c *checker) checkChanges() error {
	if _, err := readNotes(c.t.Tx); err != nil {
		c.problem("%v", err)
	}
	return c.each(bktChanges, func(k, v []byte) {
		if err := validChanges(k, v); err != nil {
			c.problem("%v", err)
		}
	})
}

// checkSums compares the keys with the sums of them, which miss each that was
// lost with its page.
func (c *checker) checkSums() error {
	m, err := readMeta(c.t.Tx)
	if err == nil && m.Schema <= schemaUnsummedStaging {
		return nil
	}
	want, serr := readSums(c.t.Tx)
	if err := errors.Join(err, serr); err != nil {
		c.problem("%v", err)
		return nil
	}
	for i, name := range summed {
		var got sum
		if err := c.each(name, func(k, _ []byte) { got.add(k) }); err != nil {
			return err
		}
		switch {
		case got.keys != want[i].keys:
			c.problem("bucket %q: %d keys, but %d were written", name, got.keys, want[i].keys)
		case got.hashes != want[i].hashes:
			c.problem("bucket %q: its %d keys are not those that were written", name, got.keys)
		}
	}
	c.report.Summed = true
	return nil
}

func (c *checker) checkTally() error {
	tally, err := readTally(c.t.Tx)
	if err != nil {
		c.problem("%v", err)
		return nil
	}
	for _, f := range []struct {
		what      string
		got, want uint64
	}{
		{"profiles", tally.profiles, c.found.profiles},
		{"bytes of records", tally.recordBytes, c.found.recordBytes},
		{"bytes of masks", tally.maskBytes, c.found.maskBytes},
		{"examples", tally.examples, c.found.examples},
	} {
		if f.got != f.want && !(c.vanished && f.got > f.want) {
			c.problem("tally: %d %s, but there are %d", f.got, f.what, f.want)
		}
	}
	return nil
}
