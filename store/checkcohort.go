package store

import (
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/format"
)

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
