package store

import (
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Stats are numbers of a store at one moment.
type Stats struct {
	// What there is now.
	Profiles    int64  `json:"profiles"`
	RecordBytes int64  `json:"record_bytes"` // of all records, an own head included; no state, examples, history
	MaskBytes   int64  `json:"mask_bytes"`   // of the masks and codes in them
	Examples    int64  `json:"examples"`
	FileBytes   int64  `json:"file_bytes"`
	FreeBytes   int64  `json:"free_bytes"` // of the file, to be written again before it grows; 0 in a read-only store
	MapBytes    int64  `json:"map_bytes"`  // of addresses that the file is mapped at, at least: what it can grow to
	Revision    uint64 `json:"revision"`   // see Store.Revision
	Imports     int64  `json:"imports"`    // under way, or waiting for their turn or to be finished
	Unmerged    int64  `json:"unmerged"`   // profiles of a verified bundle that are not merged yet

	// What was done since Open.
	Reads   int64 `json:"reads"`   // reading transactions
	Writes  int64 `json:"writes"`  // writes
	Commits int64 `json:"commits"` // transactions that they shared
}

// Stats returns the store's numbers. It reads no profile.
func (s *Store) Stats() (Stats, error) {
	return viewed(s, func(t *txn) (st Stats, err error) {
		tally, err := readTally(t.Tx)
		left, lerr := readPending(t.Tx)
		info, ierr := os.Stat(s.path)
		if err := errors.Join(err, lerr, ierr); err != nil {
			return st, err
		}
		if left != nil {
			st.Imports, st.Unmerged = 1, int64(left.total-left.merged)
		}
		st.Imports = max(st.Imports, s.imports.Load())
		st.Revision = revision(t.Tx)
		st.Profiles, st.Examples = int64(tally.Profiles), int64(tally.Examples)
		st.RecordBytes, st.MaskBytes = int64(tally.RecordBytes), int64(tally.MaskBytes)
		pages := t.DB().Stats()
		st.FreeBytes = int64(pages.FreePageN+pages.PendingPageN) * int64(t.DB().Info().PageSize)
		st.FileBytes, st.MapBytes = info.Size(), s.db.Load().mapped.Load()
		st.Reads, st.Writes, st.Commits = s.reads.Load(), s.writes.Load(), s.commits.Load()
		return st, nil
	})
}

// Revision is a number of the store's state: it grows with every transaction
// that changes the file, over the store's whole life, and is never 0.
func (s *Store) Revision() (uint64, error) {
	return viewed(s, func(t *txn) (uint64, error) { return revision(t.Tx), nil })
}

// revision reads it where bbolt keeps a number with the bucket.
func revision(tx *bolt.Tx) uint64 { return tx.Bucket(format.Meta).Sequence() + 1 }

// Sub returns what was done between an earlier o and s; what there is now is
// s's.
func (s Stats) Sub(o Stats) Stats {
	s.Reads -= o.Reads
	s.Writes -= o.Writes
	s.Commits -= o.Commits
	return s
}
