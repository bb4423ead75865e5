package store

import (
	"bytes"
	"encoding/binary"
)

// The parts of Check that look at what is stored beside the records.

func (c *checker) checkStates() error {
	return c.each(bktState, func(k, v []byte) {
		c.report.States++
		if _, err := unseal(tagState, k, v); err != nil {
			c.problem("state %x: %v", k, err)
		}
		if c.t.profiles.Get(k) == nil {
			c.problem("state %x: no profile has the number", k)
		}
	})
}

func (c *checker) checkHistory() error {
	return c.each(bktHistory, func(k, v []byte) {
		c.report.Revisions++
		p, err := DecodeProfile(v)
		switch {
		case err != nil:
			c.problem("history %x: %v", k, err)
			return
		case len(k) != 12 || binary.BigEndian.Uint64(k[4:]) != p.Revision:
			c.problem("history %x: has revision %d", k, p.Revision)
			return
		}
		now, err := DecodeProfile(c.t.profiles.Get(k[:4]))
		if err != nil {
			c.problem("history %x: no profile has the number", k)
		} else if now.ID != p.ID || now.Revision <= p.Revision {
			c.problem("history %x: revision %d of %q, but the profile is revision %d of %q",
				k, p.Revision, p.ID, now.Revision, now.ID)
		}
	})
}

func (c *checker) checkExamples() error {
	var last []byte
	return c.each(bktExamples, func(k, v []byte) {
		payload, err := unseal(tagExample, k, v)
		if err == nil {
			_, err = decodeExample(payload)
		}
		if err != nil {
			c.problem("example %x: %v", k, err)
		}
		if len(k) != 12 {
			c.problem("example %x: key of %d bytes, want 12", k, len(k))
			return
		}
		if len(last) == 12 && bytes.Equal(last[:4], k[:4]) &&
			binary.BigEndian.Uint64(last[4:])+1 != binary.BigEndian.Uint64(k[4:]) {
			c.problem("example %x: comes after %x", k, last)
		}
		last = bytes.Clone(k)
		record := c.t.profiles.Get(k[:4])
		if record == nil {
			c.problem("example %x: no profile has the number", k)
			return
		}
		if _, staged, err := c.owner(k[:4], record); err == nil && !staged {
			c.report.Examples++
			c.found.examples++
		}
	})
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
		if f.got != f.want {
			c.problem("tally: %d %s, but there are %d", f.got, f.what, f.want)
		}
	}
	return nil
}
