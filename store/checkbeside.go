package store

import (
	"bytes"
	"encoding/binary"
	"slices"
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

// checkIndex compares every set of the index with the masks. It holds the
// masks of 65,536 numbers at a time, and walks the index once for each.
func (c *checker) checkIndex() error {
	tally, err := readTally(c.t.Tx)
	if err != nil {
		return nil // said already
	}
	m, err := readMark(c.t.Tx)
	if err != nil {
		c.problem("%v", err)
		return nil
	}
	if c.report.Indexed = m.commits == tally.commits; !c.report.Indexed {
		return nil
	}
	use := map[uint32]*bankUse{}
	for high := uint64(0); high<<16 < tally.nextNumber; high++ {
		masks, ones := c.masksOf(uint16(high), use)
		if err := c.checkSets(uint16(high), masks, ones); err != nil {
			return err
		}
	}
	return c.checkUse(use)
}

// masksOf returns the masks of the numbers with an upper half, the number of
// ones in them, and counts them in use.
func (c *checker) masksOf(high uint16, use map[uint32]*bankUse) (masks []maskRef, ones int) {
	masks = make([]maskRef, 1<<16) // by the lower half
	first := key32(uint32(high) << 16)
	cur := c.t.profiles.Cursor()
	for k, v := cur.Seek(first); len(k) == 4 && hasPrefix(k, first[:2]); k, v = cur.Next() {
		p, err := DecodeProfile(v)
		if err != nil || !bytes.Equal(c.t.ids.Get([]byte(p.ID)), k) {
			continue
		}
		masks[binary.BigEndian.Uint16(k[2:])] = maskOf(p)
		ones += 2 * p.Mask.Blocks * p.Mask.K
		if use[p.Bank] == nil {
			use[p.Bank] = newBankUse(p.Mask.N, p.Mask.Blocks)
		}
		use[p.Bank].count(p.Mask, 1)
	}
	return masks, ones
}

// checkSets says whether the sets with an upper half have exactly these ones:
// each member is one of them, and there are as many.
func (c *checker) checkSets(high uint16, masks []maskRef, ones int) error {
	members := 0
	err := c.each(bktIndex, func(k, v []byte) {
		if len(k) != setKeySize || binary.BigEndian.Uint16(k[setKeySize-2:]) != high {
			return
		}
		set, err := readSet(k, v)
		if err != nil {
			c.problem("%v", err)
			return
		}
		bank, side, block, adapter := parseSetKey(k)
		set.Iterate(func(low uint32) bool {
			members++
			m := masks[low&0xffff]
			if m.mask == nil || m.bank != bank || block >= m.mask.Blocks || adapter >= m.mask.N ||
				!m.mask.Row(side, block).Get(adapter) {
				c.problem("index set %x: has profile %d, which does not select it", k, uint32(high)<<16|low)
			}
			return true
		})
	})
	if members < ones {
		c.problem("index: %d ones of the profiles %d to %d are missing", ones-members, int(high)<<16, int(high)<<16|0xffff)
	}
	return err
}

func (c *checker) checkUse(want map[uint32]*bankUse) error {
	got, err := readUse(c.t.Tx)
	if err != nil {
		c.problem("index: %v", err)
		return nil
	}
	for bank, w := range want {
		g := got[bank]
		if g == nil || g.profiles != w.profiles || !slices.Equal(g.counts, w.counts) {
			c.problem("index: wrong counts for bank %d", bank)
		}
	}
	return nil
}
