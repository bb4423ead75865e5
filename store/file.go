package store

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// boltFile is an open file. Compact, and who makes the mapping larger, put
// another in its place while readers still have this one: it is closed when the
// last of its users has left.
type boltFile struct {
	*bolt.DB
	file *os.File // DB's

	users  atomic.Int64  // the store is one of them, as long as it is the store's file
	closed chan struct{} // closed once it is
	err    error         // of that

	mapped     atomic.Int64 // bytes, at least
	long       atomic.Int64 // Backups and Checks that read it; one begins under Store.writer
	from       int64        // its size when the first of these began; under Store.writer
	sharesLock bool         // with the one in its place, which goes on with it
	older      *boltFile    // that this one has replaced, while it may be open
	retry      time.Time    // no larger mapping before, as the last try failed
}

// newBoltFile has what bolt.Open has opened with a mapping of so many bytes.
func newBoltFile(db *bolt.DB, file *os.File, mapped int) *boltFile {
	f := &boltFile{DB: db, file: file, closed: make(chan struct{})}
	f.users.Store(1)
	size := int64(mapped)
	if info, err := file.Stat(); err == nil {
		size = max(size, info.Size())
	}
	f.mapped.Store(mapSize(size))
	return f
}

func (f *boltFile) isClosed() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// enter returns the store's file, as one of its users. Each must leave.
func (s *Store) enter() (*boltFile, error) {
	if stuck := s.stuck.Load(); stuck != nil {
		return nil, *stuck
	}
	for {
		f := s.db.Load()
		n := f.users.Load()
		switch {
		case n > 0 && f.users.CompareAndSwap(n, n+1):
			return f, nil
		case n == 0 && s.db.Load() == f:
			return nil, ErrClosed
		}
	}
}

// leave ends a use of a file. The last one closes it. If bbolt is stuck it
// keeps its mapping.
func (s *Store) leave(f *boltFile) {
	if f.users.Add(-1) > 0 {
		return
	}
	stuck := s.stuck.Load()
	switch {
	case stuck != nil:
		f.file.Close()
		f.err = *stuck
	case f.sharesLock:
		f.file.Close() // so that bbolt cannot unlock what the other has locked
		if f.err = f.DB.Close(); errors.Is(f.err, syscall.EBADF) {
			f.err = nil
		}
	default:
		f.err = f.DB.Close()
	}
	close(f.closed)
	s.open.Done()
}

// use makes a file the store's. The caller leaves the one before.
func (s *Store) use(f *boltFile) {
	s.open.Add(1)
	for f.older = s.db.Load(); f.older != nil && f.older.isClosed(); {
		f.older = f.older.older
	}
	s.db.Store(f)
}

// waitFor returns once a file and those that it has replaced are closed, and
// whether they are, as ctx may end before.
func waitFor(ctx context.Context, f *boltFile) bool {
	for ; f != nil; f = f.older {
		select {
		case <-f.closed:
		case <-ctx.Done():
			if !f.isClosed() {
				return false
			}
		}
	}
	return true
}

// closePages closes the file once nobody reads it, nor one that it has
// replaced.
func (s *Store) closePages() error {
	s.writer.Lock() // a Compact ends first
	f := s.db.Load()
	s.leave(f)
	s.writer.Unlock()
	s.open.Wait()
	return f.err
}

// turn is a lock that one can stop waiting for.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

func (t turn) lockFor(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
