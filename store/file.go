package store

import (
	"context"
	"os"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// boltFile is an open file. Compact puts another in its place while readers
// still have this one: it is closed when the last of its users has left.
type boltFile struct {
	*bolt.DB
	file *os.File // DB's

	users  atomic.Int64  // the store is one of them, as long as it is the store's file
	closed chan struct{} // closed once it is
	err    error         // of that
}

func newBoltFile(db *bolt.DB, file *os.File) *boltFile {
	f := &boltFile{DB: db, file: file, closed: make(chan struct{})}
	f.users.Store(1)
	return f
}

// enter returns the store's file, as one of its users, or nil after the store
// was closed. Each must leave.
func (s *Store) enter() *boltFile {
	for {
		f := s.db.Load()
		n := f.users.Load()
		switch {
		case n > 0 && f.users.CompareAndSwap(n, n+1):
			return f
		case n == 0 && s.db.Load() == f:
			return nil
		}
	}
}

// leave ends a use of a file. The last one closes it. If bbolt is stuck it
// keeps its mapping.
func (s *Store) leave(f *boltFile) {
	if f.users.Add(-1) > 0 {
		return
	}
	if stuck := s.stuck.Load(); stuck != nil {
		f.file.Close()
		f.err = *stuck
	} else {
		f.err = f.DB.Close()
	}
	close(f.closed)
	s.open.Done()
}

// use makes a file the store's. The caller leaves the one before.
func (s *Store) use(f *boltFile) {
	s.open.Add(1)
	s.db.Store(f)
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
