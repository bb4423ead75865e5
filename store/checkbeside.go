package store

import (
	"errors"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/format"
)

// The parts of Check that look at what is stored beside the records.

// ofProfile looks at a pair of the profile whose number the key begins with.
func (c *checker) ofProfile(tag byte, p pair, k []byte) {
	switch tag {
	case format.TagHistory:
		now, err := c.t.decode(p.n)
		if err != nil {
			c.unreadable(about(err, tag, k))
		} else if now.ID != p.profile.ID || now.Revision <= p.after {
			c.problem("history %x: revision %d of %q, but the profile is revision %d of %q",
				k, p.after, p.profile.ID, now.Revision, now.ID)
		}
	case format.TagExample:
		c.example(p, k)
	case format.TagWaiting:
		if p.waiting != c.waiting[p.n] && !c.vanished {
			c.problem("waiting %x: %d examples, but there are %d", k, p.waiting, c.waiting[p.n])
		}
		delete(c.waiting, p.n)
	}
}

// example counts an example that waits. One that is staged is not counted.
func (c *checker) example(p pair, k []byte) {
	if p.n != c.last {
		c.last = p.n
		c.person, c.personErr = c.t.person(p.n) // damaged, it is looked at by itself
	}
	if c.personErr == nil {
		if p.after >= c.person.next {
			c.problem("example %x: the next one is to be %d", k, c.person.next)
		}
		if c.person.awaits(p.example.Example) {
			c.waiting[p.n]++
		}
	}
	if c.staged.Contains(p.n) {
		c.keys[format.TagExample]--
	}
}

// checkWaiting looks at the profiles whose examples wait, and of which that is
// not said. Of a person that an older file had nothing stored of nothing is.
func (c *checker) checkWaiting() error {
	for _, n := range slices.Sorted(maps.Keys(c.waiting)) {
		if c.t.Bucket(format.People).Get(format.Key(n)) != nil {
			c.problem("person %08x: %d examples wait, but none is said to", n, c.waiting[n])
		}
	}
	return nil
}

// checkChanges looks at what backups since others are made by.
func (c *checker) checkChanges() error {
	if _, err := readNotes(c.t.Tx); err != nil {
		c.problem("%v", err)
	}
	return c.each(format.Changes, func(k, v []byte) {
		if err := validChanges(k, v); err != nil {
			c.problem("%v", err)
		}
	})
}

// checkSums compares the keys with the sums of them, which miss each that was
// lost with its page.
func (c *checker) checkSums() error {
	m, err := readMeta(c.t.Tx)
	if err == nil && m.Schema <= format.SchemaUnsummedStaging {
		return nil
	}
	want, serr := readSums(c.t.Tx)
	if err := errors.Join(err, serr); err != nil {
		c.problem("%v", err)
		return nil
	}
	for i, name := range format.Summed {
		got := c.sums[i]
		switch {
		case got.Keys != want[i].Keys:
			c.problem("bucket %q: %d keys, but %d were written", name, got.Keys, want[i].Keys)
		case got.Hashes != want[i].Hashes:
			c.problem("bucket %q: its %d keys are not those that were written", name, got.Keys)
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
		{"profiles", tally.Profiles, c.keys[tagID]},
		{"bytes of records", tally.RecordBytes, c.recordBytes},
		{"bytes of masks", tally.MaskBytes, c.maskBytes},
		{"examples", tally.Examples, c.keys[format.TagExample]},
	} {
		if f.got != f.want && !(c.vanished && f.got > f.want) {
			c.problem("tally: %d %s, but there are %d", f.got, f.what, f.want)
		}
	}
	return nil
}

// checkCohorts compares the sets with the records, both ways. A record that
// cannot be read is left out of both: it has been named, and nothing says where
// it belongs.
func (c *checker) checkCohorts() error {
	if !c.rules.kept(c.t.Tx) {
		if m, err := readMeta(c.t.Tx); err == nil && m.Schema >= format.SchemaMasks && m.Keys == "" &&
			c.t.Tx.Bucket(format.Cohorts) == nil {
			c.problem("no bucket %q", format.Cohorts)
		}
		return nil
	}
	c.t.reading = format.Profiles
	want, unread, err := c.rules.setsOf(c.ctx, c.t)
	if err != nil {
		return err
	}
	err = c.each(format.Cohorts, func(k, v []byte) {
		c.report.Cohorts++
		got, err := readCohort(k, v)
		if err != nil {
			c.problem("%v", err)
		} else {
			c.compareSet(k, got, want[string(k)], unread)
		}
		delete(want, string(k))
	})
	for _, key := range slices.Sorted(maps.Keys(want)) {
		c.compareSet([]byte(key), roaring.New(), want[key], unread)
	}
	return err
}

func (c *checker) compareSet(key []byte, got, want *roaring.Bitmap, unread cohortSets) {
	if want == nil {
		want = roaring.New()
	}
	missing, surplus := roaring.AndNot(want, got), roaring.AndNot(got, want)
	if len(key) > 2 {
		if skip := unread[string(key[len(key)-2:])]; skip != nil {
			surplus.AndNot(skip)
		}
	}
	if !missing.IsEmpty() || !surplus.IsEmpty() {
		c.problem("%s: %d profiles are missing, %d should not be there", cohortName(key), missing.GetCardinality(),
			surplus.GetCardinality())
	}
}
