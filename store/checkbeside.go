package store

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// The parts of Check that look at what is stored beside the records.

func (c *checker) checkStates() error {
	return c.each(bktState, func(k, v []byte) {
		c.report.States++
		if c.t.profiles.Get(k) == nil {
			c.problem("state %x: no profile has the number", k)
			return
		}
		n, err := number(k)
		if err == nil {
			_, err = c.t.payload(tagState, n, k, v)
		}
		if err != nil {
			c.unreadable("state %x: %w", k, err)
		}
	})
}

func (c *checker) checkHistory() error {
	return c.each(bktHistory, func(k, v []byte) {
		c.report.Revisions++
		if len(k) != 12 {
			c.problem("history %x: key of %d bytes, want 12", k, len(k))
			return
		}
		n := binary.BigEndian.Uint32(k)
		p, err := c.t.earlier(n, k, v)
		switch {
		case err != nil:
			c.unreadable("history %x: %w", k, err)
			return
		case binary.BigEndian.Uint64(k[4:]) != p.Revision:
			c.problem("history %x: has revision %d", k, p.Revision)
			return
		}
		now, err := c.t.decode(n)
		if err != nil {
			c.unreadable("history %x: no profile has the number: %w", k, err)
		} else if now.ID != p.ID || now.Revision <= p.Revision {
			c.problem("history %x: revision %d of %q, but the profile is revision %d of %q",
				k, p.Revision, p.ID, now.Revision, now.ID)
		}
	})
}

func (c *checker) checkExamples() error {
	var last []byte
	return c.each(bktExamples, func(k, v []byte) {
		if len(k) != 12 {
			c.problem("example %x: key of %d bytes, want 12", k, len(k))
			return
		}
		payload, err := c.t.payload(tagExample, binary.BigEndian.Uint32(k), k, v)
		if err == nil {
			_, err = decodeExample(payload)
		}
		if err != nil {
			c.unreadable("example %x: %w", k, err)
		}
		if len(last) == 12 && bytes.Equal(last[:4], k[:4]) &&
			binary.BigEndian.Uint64(last[4:])+1 != binary.BigEndian.Uint64(k[4:]) {
			c.problem("example %x: comes after %x", k, last)
		}
		last = bytes.Clone(k)
		if c.t.profiles.Get(k[:4]) == nil {
			c.problem("example %x: no profile has the number", k)
			return
		}
		switch _, staged, err := c.owner(k[:4]); {
		case errors.Is(err, errVanished): // of an import, or not
			c.vanished = true
		case err == nil && !staged:
			c.report.Examples++
			c.found.examples++
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
