package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// RepairOptions are those of Repair. Nil, and every zero field, means the
// default.
type RepairOptions struct {
	// MasterKey is that of an encrypted store.
	MasterKey []byte
	// HeadLabels is that of the Options that the store is opened with: without it
	// the next Open reads the file whole.
	HeadLabels func(head []byte) (labels []string, counts []uint32)
	// Timeout is how long to wait for a writer that has the file open, before
	// ErrLocked. Default 1 s.
	Timeout time.Duration
}

// RepairReport is what Repair saved, and what not.
type RepairReport struct {
	Profiles, Revisions, States, Examples int
	Banks, Heads, Names, Values           int
	// TornMeta says that one of the two meta pages is not whole: what the last
	// transaction before the damage wrote may be missing.
	TornMeta bool
	// Lost says what could not be saved, each profile by its id or, if nothing
	// says that any more, its number. None: nothing was damaged but cohorts,
	// or pages that hold nothing.
	Lost []string
}

// Repair reads the damaged store at from, and makes a new one at to of what is
// whole in it: values, banks, heads and profiles with their numbers, states,
// examples and history. What is not whole is named in the report. It never
// writes to from. If there is something at to it is ErrExists. It is ErrCorrupt
// if nothing can be read: neither of the file's two meta pages is whole, or the
// value that says what the store is bound to.
//
// The file of keys of an encrypted store is copied as it is: a profile whose
// key is damaged is lost.
func Repair(ctx context.Context, from, to string, o *RepairOptions) (RepairReport, error) {
	opts := Options{NoSync: true}
	if o != nil {
		opts.MasterKey, opts.HeadLabels, opts.Timeout = o.MasterKey, o.HeadLabels, o.Timeout
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return RepairReport{}, err
	}
	report, err := repair(ctx, from, to, opts)
	if err != nil {
		return RepairReport{}, fmt.Errorf("store: repair %s: %w", from, boltError(err))
	}
	return report, nil
}

func repair(ctx context.Context, from, to string, opts Options) (report RepairReport, err error) {
	if _, err := os.Lstat(to); err == nil {
		return report, fmt.Errorf("%w: %s", ErrExists, to)
	}
	unlock, err := lockDamaged(from, opts)
	if err != nil {
		return report, err
	}
	defer unlock()
	f, err := os.Open(from)
	if err != nil {
		return report, err
	}
	defer f.Close()
	temp, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*.new")
	if err != nil {
		return report, err
	}
	defer os.Remove(temp.Name())
	defer os.Remove(KeysPath(temp.Name()))
	temp.Close()
	r := &repairer{ctx: ctx, opts: opts, from: from, path: temp.Name(),
		rules: cohortRules{headLabels: opts.HeadLabels}, sets: cohortSets{}, accepted: roaring.New(), staged: roaring.New()}
	if err := errors.Join(r.run(f), r.close()); err != nil {
		return report, err
	}
	if err := checkRepaired(ctx, r.path, opts); err != nil {
		return report, err
	}
	return r.report, Move(r.path, to)
}

// lockDamaged keeps writers away, if bbolt can open the file at all.
func lockDamaged(path string, opts Options) (unlock func(), err error) {
	opts.ReadOnly = true
	f, err := openBolt(path, opts, false)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, path)
	}
	if err != nil {
		return func() {}, nil
	}
	return func() { f.DB.Close() }, nil
}

// checkRepaired opens what was made, which also erases the keys of profiles
// that were lost, and checks it.
func checkRepaired(ctx context.Context, path string, opts Options) error {
	opts.NoSync = false
	s, err := Open(path, &opts)
	if err != nil {
		return err
	}
	_, err = s.Check(ctx, true)
	return errors.Join(err, s.Close())
}

// repairer copies what is whole from a salvaged file into a new one.
type repairer struct {
	ctx        context.Context
	opts       Options
	from, path string
	old        *salvage
	meta       Meta
	metaValues map[string][]byte
	before     tally // zero if it was lost
	report     RepairReport

	db      *bolt.DB
	tx      *bolt.Tx
	written int // bytes, by tx
	t       txn // its keys decrypt; its buckets are of tx
	now     tally
	rules   cohortRules
	sets    cohortSets // of the profiles that are saved

	accepted *roaring.Bitmap // numbers of profiles that are saved
	staged   *roaring.Bitmap // numbers of an import that was not committed
}

func (r *repairer) lost(format string, args ...any) {
	switch n := len(r.report.Lost); {
	case n < maxProblems:
		r.report.Lost = append(r.report.Lost, fmt.Sprintf(format, args...))
	case n == maxProblems:
		r.report.Lost = append(r.report.Lost, "and more")
	}
}

func (r *repairer) run(f *os.File) (err error) {
	if r.old, err = openSalvage(f); err != nil {
		return err
	}
	r.report.TornMeta = r.old.meta.torn
	if err := r.readMeta(); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	for _, step := range []func() error{
		r.values, r.banks, r.heads, r.names, r.stagedNumbers, r.ids, r.profiles, r.orphans,
		r.lostIDs, r.states, r.history, r.examples, r.people, r.finish,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (r *repairer) readMeta() (err error) {
	r.metaValues = map[string][]byte{}
	err = r.old.all(bktMeta, func(k, v []byte) error {
		r.metaValues[string(k)] = v
		return nil
	})
	if err != nil {
		return err
	}
	if r.meta, err = decodeMeta(r.metaValues[string(keyStore)]); err != nil {
		return err
	}
	if r.before, err = decodeTally(r.metaValues[string(keyTally)]); err != nil {
		r.before = tally{}
	}
	return nil
}

// begin makes the new file, and opens the copy of the keys.
func (r *repairer) begin() (err error) {
	if err := writeEmpty(r.path, r.meta, r.opts); err != nil {
		return err
	}
	if r.meta.Keys != "" {
		if r.opts.MasterKey == nil {
			return fmt.Errorf("%w: the store is encrypted, and no master key is given", ErrKey)
		}
		if err := copyFile(KeysPath(r.from), KeysPath(r.path)); err != nil {
			return fmt.Errorf("%w: %w", ErrKey, err)
		}
		if r.t.keys, err = openKeys(KeysPath(r.path), r.meta.Keys, r.opts); err != nil {
			return err
		}
	}
	if r.db, err = bolt.Open(r.path, 0o600, r.opts.bolt(0)); err != nil {
		return err
	}
	r.now = tally{commits: max(r.before.commits, 1), nextBank: max(r.before.nextBank, 1), nextHead: max(r.before.nextHead, 1)}
	return r.next()
}

// next commits, and begins a new transaction.
func (r *repairer) next() (err error) {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.tx != nil {
		tx := r.tx
		r.tx = nil
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	if r.tx, err = r.db.Begin(true); err != nil {
		return err
	}
	r.written = 0
	r.t = txn{Tx: r.tx, keys: r.t.keys, writing: true,
		ids: readBucket{r.tx.Bucket(bktIDs)}, profiles: readBucket{r.tx.Bucket(bktProfiles)}}
	return nil
}

// put writes to the new file.
func (r *repairer) put(bucket, key, value []byte) error {
	if r.written += elementSize + len(key) + len(value); r.written > batchBytes {
		if err := r.next(); err != nil {
			return err
		}
	}
	return r.tx.Bucket(bucket).Put(key, value)
}

func (r *repairer) close() (err error) {
	if r.tx != nil {
		err = r.tx.Rollback()
	}
	if r.db != nil {
		err = errors.Join(err, r.db.Sync(), r.db.Close())
	}
	return errors.Join(err, r.t.keys.close())
}

// copyFile copies a file to a new one, durably.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
