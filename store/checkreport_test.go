package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/store/internal/format"
)

// TestCheckCounts damages more records than a report lists: it names the first
// and counts all.
func TestCheckCounts(t *testing.T) {
	s := newStore(t, fast)
	var ps []*Profile
	for i := range maxProblems + 200 {
		ps = append(ps, randomProfile(newRand(t), fmt.Sprintf("user%04d", i)))
	}
	if err := s.PutBatch(ctx, ps); err != nil {
		t.Fatal(err)
	}
	damaged := withDamagedRecords(t, s, func(record []byte) { record[len(record)/2] ^= 1 })
	report, err := damaged.Check(ctx, false)
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprint(report.Found())) {
		t.Errorf("got %v, want ErrCorrupt and the count of %d", err, report.Found())
	}
	if report.Profiles != len(ps) || len(report.Problems) != maxProblems || report.Found() < len(ps) {
		t.Errorf("got %d profiles, %d problems and %d more, want %d profiles, a problem of each, and a bounded list",
			report.Profiles, len(report.Problems), report.More, len(ps))
	}
}

// withDamagedRecords opens a copy of a store of whose records each is changed.
func withDamagedRecords(t *testing.T, s *Store, change func([]byte)) *Store {
	t.Helper()
	path := t.TempDir() + "/xpeft.db"
	backup(t, s, path)
	db, err := openBolt(path, s.opts, false)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	records := map[string][]byte{}
	err = tx.Bucket(format.Profiles).ForEach(func(k, v []byte) error {
		records[string(k)] = append([]byte(nil), v...)
		return nil
	})
	for k, v := range records {
		change(v)
		err = errors.Join(err, tx.Bucket(format.Profiles).Put([]byte(k), v))
	}
	if err := errors.Join(err, tx.Commit(), db.DB.Close()); err != nil {
		t.Fatal(err)
	}
	damaged, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { damaged.Close() })
	return damaged
}
