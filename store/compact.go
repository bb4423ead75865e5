package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/internal/durable"
	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/format"
)

// CompactReport says what Compact did.
type CompactReport struct {
	Before int64 `json:"before"` // bytes of the file
	After  int64 `json:"after"`
	// Waiting says that readers which began before still have the old file
	// open, and with it what was deleted: it goes when the last one ends.
	Waiting bool `json:"waiting"`
}

// compactSuffix ends the name of the new file until it has the old one's.
const compactSuffix = ".compact"

// Compact writes the file anew: as small as it can be, and without a byte of
// what was deleted before. It checks the file first, as Check does, and changes
// nothing if there are problems. It needs room for a second file. Readers go
// on; writers wait while it copies. A crash leaves the old file or the new one.
//
// It returns once the readers that began before have ended, and with them the
// old file; so it must not be called within an iteration over the store. If
// ctx ends while it waits for them the report says so, and there is no error;
// if it ends before, nothing has changed.
//
// On Windows, where no file gets the name of one that is open, the error wraps
// errors.ErrUnsupported: a Backup that is restored has no free pages either.
func (s *Store) Compact(ctx context.Context) (CompactReport, error) {
	report, old, err := s.compact(ctx)
	if err != nil {
		return CompactReport{}, fmt.Errorf("store: compact: %w", boltError(err))
	}
	report.Waiting = !waitFor(ctx, old)
	return report, nil
}

// compact puts a new file in the place of the old one, which it returns.
func (s *Store) compact(ctx context.Context) (report CompactReport, old *boltFile, err error) {
	if s.opts.ReadOnly {
		return report, nil, ErrReadOnly
	}
	if runtime.GOOS == "windows" {
		return report, nil, fmt.Errorf("%w on Windows: make a Backup and Restore it, which writes a new file",
			errors.ErrUnsupported)
	}
	if _, err := s.Check(ctx, false); err != nil { // no writer waits for it
		return report, nil, err
	}
	if err := s.writer.lockFor(ctx); err != nil {
		return report, nil, err
	}
	defer s.writer.Unlock()
	if s.closing.Load() {
		return report, nil, ErrClosed
	}
	if s.refused != nil {
		return report, nil, s.refused
	}
	old = s.db.Load()
	was, err := old.file.Stat()
	if err != nil {
		return report, nil, err
	}
	report.Before = was.Size()
	err = s.replace(func(temp string) (*boltFile, error) { return s.rewrite(ctx, temp, was) })
	if err != nil {
		return report, nil, err
	}
	if now, err := s.db.Load().file.Stat(); err == nil {
		report.After = now.Size()
	}
	return report, old, nil
}

// replace puts the file that another is made of in the place of the store's. It is locked
// before it has its name: who comes for the store by that must wait for this process, be it
// for the old file or the new one. The caller holds s.writer.
func (s *Store) replace(makeNext func(temp string) (*boltFile, error)) error {
	path, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		return err
	}
	temp := path + compactSuffix
	next, err := makeNext(temp)
	if err == nil {
		if err = s.step("rename", func() error { return os.Rename(temp, path) }); err != nil {
			next.DB.Close()
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	old := s.db.Load()
	s.use(next)
	s.leave(old)
	// Unless the new name is durable a crash may bring the old file back, and with it lose
	// what is written to the new one.
	if !s.opts.NoSync {
		s.refused = s.step("folder", func() error { return durable.SyncDir(filepath.Dir(path)) })
	}
	return s.refused
}

func (s *Store) rewrite(ctx context.Context, temp string, was fs.FileInfo) (*boltFile, error) {
	if err := createEmpty(temp); err != nil {
		return nil, err
	}
	opts := s.opts
	opts.Reserve = opts.reserve(was.Size())
	f, err := openBolt(temp, opts, true)
	if err != nil {
		return nil, err
	}
	if err = s.fill(ctx, f.DB, f.file, was); err == nil {
		return f, nil
	}
	if d := (*damage)(nil); errors.As(err, &d) { // bbolt may hold its locks for ever
		f.file.Close()
	} else {
		f.DB.Close()
	}
	return nil, err
}

// createAnew makes an empty file that nobody else can have open. What has its
// name is removed; a symbolic link is not followed.
func createAnew(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

func createEmpty(path string) error {
	f, err := createAnew(path)
	return cmp.Or(err, f.Close())
}

// fill copies the store into the new file, makes that durable, and looks at
// what was written.
func (s *Store) fill(ctx context.Context, db *bolt.DB, file *os.File, was fs.FileInfo) error {
	db.NoSync, db.NoGrowSync = true, true // once, at the end
	err := s.step("copy", func() error { return s.readPages((&bulk{ctx: ctx, db: db}).copyAll) })
	if err != nil {
		return err
	}
	db.NoSync, db.NoGrowSync = s.opts.NoSync, s.opts.NoSync
	err = s.step("mode", func() error { return errors.Join(keepOwner(file, was), file.Chmod(was.Mode().Perm())) })
	if err != nil {
		return err
	}
	if !s.opts.NoSync {
		if err := s.step("sync", file.Sync); err != nil {
			return err
		}
	}
	w := newWalk(nil)
	return s.step("walk", func() error { return w.All(file) })
}

// step runs one part of compacting, unless a test makes it fail.
func (s *Store) step(name string, fn func() error) error {
	if s.compacts != nil {
		if err := s.compacts(name); err != nil {
			return err
		}
	}
	return fn()
}

// removeLeft removes a file beside the store that a crash has left, of what: it
// holds people's data. The caller has the store's lock.
func (s *Store) removeLeft(suffix, what string) {
	path, err := filepath.EvalSymlinks(s.path)
	if err == nil {
		err = os.Remove(path + suffix)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.opts.Logger.Error("cannot remove what was left of "+what, "error", err)
	}
}

// bulk fills a new file that nobody else has open, in transactions of
// batchBytes. Keys of a bucket come in order, so that pages are as full as those
// of an import.
type bulk struct {
	ctx     context.Context
	db      *bolt.DB
	tx      *bolt.Tx
	written int // bytes, in tx
}

// next commits, and begins a new transaction.
func (b *bulk) next() error {
	err := errors.Join(b.ctx.Err(), b.commit())
	if err != nil {
		return err
	}
	if b.tx, err = b.db.Begin(true); err == nil {
		b.db.AllocSize, b.written = growth(b.tx.Size()), 0
	}
	return err
}

func (b *bulk) commit() error {
	tx := b.tx
	if b.tx = nil; tx == nil {
		return nil
	}
	return tx.Commit() // or it has rolled back
}

// rollback ends a transaction that was not committed, if there is one.
func (b *bulk) rollback() error {
	if b.tx == nil {
		return nil
	}
	return b.tx.Rollback()
}

// put writes a pair. The value stays the caller's until next.
func (b *bulk) put(bucket, k, v []byte) error {
	if b.written += boltpages.ElementSize + len(k) + len(v); b.written > batchBytes {
		if err := b.next(); err != nil {
			return err
		}
	}
	to := b.tx.Bucket(bucket)
	to.FillPercent = orderedFill
	return to.Put(k, v)
}

// copyAll copies all that a transaction sees, and counts up the revision.
func (b *bulk) copyAll(from *bolt.Tx) (err error) {
	if err := b.next(); err != nil {
		return err
	}
	defer func() { _ = b.rollback() }() // also after a fault
	err = from.ForEach(func(name []byte, old *bolt.Bucket) error {
		to, err := b.tx.CreateBucket(name)
		if err != nil {
			return err
		}
		if err := to.SetSequence(old.Sequence()); err != nil {
			return err
		}
		return old.ForEach(func(k, v []byte) error { return b.put(name, k, v) })
	})
	if err != nil {
		return err
	}
	if _, err := b.tx.Bucket(format.Meta).NextSequence(); err != nil {
		return err
	}
	return b.commit()
}
