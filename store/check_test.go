package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// TestCheckFinds damages one thing at a time and wants Check to name it.
func TestCheckFinds(t *testing.T) {
	put := func(bucket, key, value []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }
	}
	del := func(bucket, key []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(key) }
	}
	moved := func(bucket, from, to []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			return tx.Bucket(bucket).Put(to, bytes.Clone(tx.Bucket(bucket).Get(from)))
		}
	}
	renamed := func(bucket, from, to []byte) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			payload, err := format.Unseal(format.TagName, from, tx.Bucket(bucket).Get(from))
			return errors.Join(err, tx.Bucket(bucket).Put(to, format.Seal(format.TagName, to, bytes.Clone(payload))),
				tx.Bucket(bucket).Delete(from))
		}
	}
	set := func(cohort string, numbers ...uint32) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			key := []byte(cohortKey(cohort, 1))
			value, err := roaring.BitmapOf(numbers...).ToBytes()
			return errors.Join(err, tx.Bucket(format.Cohorts).Put(key, format.Seal(format.TagCohort, key, value)))
		}
	}
	one, two := format.Key(1), format.Key(2)
	bankSet := []byte(cohortKey(cohortOfRef(cohortBank, 1), 1))
	for name, c := range map[string]struct {
		damage func(tx *bolt.Tx) error
		want   string
	}{
		"record damaged":      {put(format.Profiles, one, []byte("?")), `profile "user000"`},
		"record of another":   {moved(format.Profiles, two, one), `has the record of "user001"`},
		"record lost":         {del(format.Profiles, one), `profile "user000"`},
		"id lost":             {del(format.IDs, []byte("user000")), "no id leads to it"},
		"id without a record": {put(format.IDs, []byte("x"), format.Key(99)), `profile "x"`},
		"two ids, one record": {put(format.IDs, []byte("x"), one), `profile "x" has the record of "user000"`},
		"number of 3 bytes":   {put(format.IDs, []byte("user000"), []byte("???")), `profile "user000"`},
		"number freed":        {put(format.Free, one, nil), "free, but has a record"},
		"bank lost":           {del(format.Banks, one), "no bank 1"},
		"bank damaged":        {put(format.Banks, one, []byte("????????")), "bank 1"},
		"head lost":           {del(format.Heads, one), "no head 1"},
		"head damaged":        {put(format.Heads, one, format.Seal(format.TagHead, one, make([]byte, 40))), "do not have the digest"},
		"name of no head":     {put(format.Names, []byte("n"), format.Seal(format.TagName, []byte("n"), two)), "no head 2"},
		"value damaged":       {put(format.Values, []byte("v"), []byte("?????")), `value "v"`},
		"state damaged":       {put(format.State, one, []byte("?????")), "state 00000001"},
		"state moved":         {moved(format.State, one, two), "state 00000002"},
		"state of nobody":     {put(format.State, format.Key(9), format.Seal(format.TagState, format.Key(9), nil)), "no profile has the number"},
		"example damaged":     {put(format.Examples, format.KeyAt(1, 0), []byte("?????")), "example 000000010000000000000000"},
		"example lost":        {del(format.Examples, format.KeyAt(1, 1)), "waiting 00000001: 6 examples, but there are 5"},
		"example to come":     {moved(format.Examples, format.KeyAt(1, 1), format.KeyAt(1, 9)), "example 000000010000000000000009"},
		"person damaged":      {put(format.People, one, []byte("?????")), "person 00000001"},
		"person moved":        {moved(format.People, one, two), "person 00000002"},
		"person lost":         {del(format.People, one), `bucket "people": 1 keys, but 2 were written`},
		"waiting damaged":     {put(format.Waiting, one, []byte("?????")), "waiting of profile 00000001"},
		"waiting lost":        {del(format.Waiting, one), "none is said to"},
		"waiting of nobody":   {put(format.Waiting, format.Key(9), waitingValue(9, 1, false)), "waiting 00000009: no profile"},
		"waiting wrong": {put(format.Waiting, one, waitingValue(1, 5, false)),
			"waiting 00000001: 5 examples, but there are 6"},
		"history damaged":    {put(format.History, format.KeyAt(1, 1), []byte("?????")), "history 000000010000000000000001"},
		"history of another": {moved(format.History, format.KeyAt(1, 1), format.KeyAt(2, 1)), `revision 1 of "user000"`},
		"tally wrong": {func(tx *bolt.Tx) error { return writeTally(tx, &format.Tally{NextNumber: 5}) },
			"tally: 0 profiles"},
		"value lost":        {del(format.Values, []byte("v")), `bucket "values": 0 keys, but 1 were written`},
		"state lost":        {del(format.State, one), `bucket "state": 1 keys, but 2 were written`},
		"history lost":      {del(format.History, format.KeyAt(1, 1)), `bucket "history": 1 keys, but 2 were written`},
		"name lost":         {del(format.Names, []byte("main")), `bucket "names": 0 keys, but 1 were written`},
		"last example lost": {del(format.Examples, format.KeyAt(2, 5)), `bucket "examples": 11 keys, but 12 were written`},
		"name changed": {renamed(format.Names, []byte("main"), []byte("mbin")),
			`bucket "names": its 1 keys are not those that were written`},
		"sums damaged": {put(format.Meta, format.KeySums, []byte("?????")), "sums: "},
		"sums lost":    {del(format.Meta, format.KeySums), "sums: "},
		"cohort damaged": {put(format.Cohorts, bankSet, []byte("?????")),
			"cohort of bank 1: store: corrupt: checksum"},
		"cohort lost": {del(format.Cohorts, bankSet),
			"cohort of bank 1: 2 profiles are missing, 0 should not be there"},
		"cohort moved": {moved(format.Cohorts, bankSet, []byte(cohortKey(cohortOfRef(cohortBank, 9), 1))),
			"cohort of bank 9: store: corrupt: checksum"},
		"cohort too small": {set(cohortOfRef(cohortHead, 1), 1),
			"cohort of head 1: 1 profiles are missing, 0 should not be there"},
		"cohort too large": {set(cohortOfLearned(true), 1, 2, 7),
			"cohort of learned 01: 0 profiles are missing, 1 should not be there"},
		"cohort of nobody": {set(cohortOfLabel("x"), 1), "0 profiles are missing, 1 should not be there"},
		"cohort empty":     {set(cohortOfLabel("x")), "it has numbers of another set, or none"},
		"cohort of others": {set(cohortOfRef(cohortBank, 1), 1, 2, 1<<16), "it has numbers of another set, or none"},
		"cohorts lost":     {func(tx *bolt.Tx) error { return tx.DeleteBucket(format.Cohorts) }, `no bucket "cohorts"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, fast)
			r := newRand(t)
			head, _, err := s.PutHead(ctx, []byte("h"))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.PutMeta(ctx, "v", []byte("value")), s.SetHeadName(ctx, "main", head)); err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"user000", "user001"} {
				for i := range 2 {
					p := randomProfile(r, id)
					p.Head, p.OwnHead, p.Examples = head, nil, 9
					w := Write{State: []byte(id), Append: []Example{{Text: fmt.Sprint("a", i)},
						{Text: fmt.Sprint("b", i)}, {Text: fmt.Sprint("c", i)}}}
					if _, err := s.Put(ctx, p, w); err != nil {
						t.Fatal(err)
					}
				}
			}
			path := filepath.Join(t.TempDir(), "damaged.db")
			backup(t, s, path)
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(c.damage), db.Close()); err != nil {
				t.Fatal(err)
			}
			damaged, err := Open(path, with(Options{ReadOnly: true}))
			if err != nil {
				t.Fatal(err)
			}
			defer damaged.Close()
			report, err := damaged.Check(ctx, true)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(strings.Join(report.Problems, "\n"), c.want) {
				t.Errorf("got %v, %q, want a problem with %q", err, report.Problems, c.want)
			}
			if name == "waiting damaged" && report.Found() != 1 { // the examples are not to be named for it, too
				t.Errorf("got %q, want one problem", report.Problems)
			}
		})
	}
}

// endsAt is a context that has ended once it was asked so often.
type endsAt struct {
	context.Context
	left int
}

func (c *endsAt) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestCheckEnds wants what a Check has counted before its context ended.
func TestCheckEnds(t *testing.T) {
	s := filled(t, newRand(t), 20)
	whole, err := s.Check(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	report, err := s.Check(&endsAt{ctx, 6}, false) // after values, banks, heads, names, ids and records
	if !errors.Is(err, context.Canceled) || whole.Profiles != 20 || report.Profiles != 20 ||
		report.Banks != whole.Banks || report.Heads != whole.Heads || report.Summed {
		t.Errorf("got %+v, %v, want the profiles of %+v, but no sums", report, err, whole)
	}
}

func backup(t testing.TB, s *Store, path string) {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Backup(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(ctx, path, nil, &b); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(path, fast) // makes its cohorts
	if err != nil {
		t.Fatal(err)
	}
	checkAndClose(t, restored)
}

func TestBackup(t *testing.T) {
	r := newRand(t)
	s := filled(t, r, 20)
	path := filepath.Join(t.TempDir(), "backup.db")
	backup(t, s, path)
	want := contents(t, s)
	if err := s.Delete(ctx, "user003"); err != nil {
		t.Fatal(err)
	}
	copied, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, copied) })
	if diff := cmp.Diff(want, contents(t, copied), byValue); diff != "" {
		t.Error(diff)
	}
}

// TestEveryByteOfMetaCounts damages the value that the store is bound by.
func TestOpenDamagedMeta(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(tx *bolt.Tx) error
		want   error
	}{
		"newer schema": {func(tx *bolt.Tx) error { return writeMeta(tx, Meta{Schema: format.Schema + 1}) }, ErrSchema},
		"schema 0":     {func(tx *bolt.Tx) error { return writeMeta(tx, Meta{}) }, ErrCorrupt},
		"flipped": {func(tx *bolt.Tx) error {
			v := bytes.Clone(tx.Bucket(format.Meta).Get(format.KeyStore))
			v[3] ^= 1
			return tx.Bucket(format.Meta).Put(format.KeyStore, v)
		}, ErrCorrupt},
		"not JSON": {func(tx *bolt.Tx) error {
			return tx.Bucket(format.Meta).Put(format.KeyStore,
				format.Seal(format.TagMeta, format.KeyStore, []byte("{")))
		}, ErrCorrupt},
		"no meta":   {func(tx *bolt.Tx) error { return tx.DeleteBucket(format.Meta) }, ErrCorrupt},
		"no tally":  {func(tx *bolt.Tx) error { return tx.Bucket(format.Meta).Delete(format.KeyTally) }, ErrCorrupt},
		"no bucket": {func(tx *bolt.Tx) error { return tx.DeleteBucket(format.State) }, ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			s, err := Create(path, testMeta, fast)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(c.damage), db.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path, fast); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	want := Digest{0xab, 31: 0xcd}
	text, err := json.Marshal(want)
	var got Digest
	if err := errors.Join(err, json.Unmarshal(text, &got)); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("x", 64)} {
		if err := got.UnmarshalText([]byte(bad)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: got %v, want ErrCorrupt", bad, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []Options{{Timeout: -1}, {MaxID: 5000}, {History: 1 << 20}, {MaxText: -1},
		{MaxExamples: 1 << 30}} {
		if _, err := Open("none", &bad); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: got %v, want ErrLimit", bad, err)
		}
	}
	o, err := (&Options{History: -1, MaxExamples: -1}).withDefaults()
	if err != nil || o.History != 0 || o.MaxExamples != 0 {
		t.Errorf("got %+v, %v, want none kept", o, err)
	}
}

func TestStats(t *testing.T) {
	r := newRand(t)
	s := filled(t, r, 10)
	a, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	records, rows := 0, 0
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		records += len(mustEncode(t, p))
		if p.Mask != nil {
			rows += 12
		}
		rows += 4 * len(p.Codes)
	}
	if a.Profiles != 10 || a.RecordBytes != int64(records) || a.MaskBytes != int64(rows) {
		t.Errorf("got %+v, want 10 profiles of %d bytes, of which masks and codes %d", a, records, rows)
	}
	info, err := os.Stat(s.Path())
	if err != nil || a.FileBytes != info.Size() {
		t.Errorf("got file of %d bytes, %v, want %d", a.FileBytes, err, info.Size())
	}
	if _, err := s.Put(ctx, randomProfile(r, "more"), Write{}); err != nil {
		t.Fatal(err)
	}
	b, err := s.Stats()
	if d := b.Sub(a); err != nil || d.Writes != 1 || d.Commits != 1 || d.Profiles != 11 {
		t.Errorf("got %+v, %v, want one write and 11 profiles", d, err)
	}
}
