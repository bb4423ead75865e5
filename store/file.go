package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
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

// bbolt maps the file again when a write needs more than is mapped. For that it
// waits until no reader is left, and whoever comes meanwhile waits for it: one
// Backup would keep every reader waiting until it ends. So the mapping is larger
// than the file, of addresses that cost nothing, and is replaced before it is
// full, by opening the file once more with a larger one.
//
// What is opened anew does not know of readers of the one before, and would
// write over pages that they read. So no write comes before these have ended.
// That is soon, unless there is a Backup or Check among them: then the file is
// copied, byte for byte, and the copy takes its name as Compact's does. The long
// reader keeps the old file, which nobody writes any more.
//
// That also ends what a long reader costs. While it lasts bbolt writes no page
// again that it has put at the end of the file, and each commit writes the list
// of them: without an end the file would grow by a factor of e every 512 commits.

const (
	defaultReserve = 4 << 30
	// mostReserve32 bounds mappings where addresses are scarce.
	mostReserve32 = 256 << 20
	// leastRoom is more than one transaction adds to the file, 256 heads of nearly
	// a MiB among them. Who reserves less has that much.
	leastRoom = 256 << 20
	// mostKept is how much a file grows under a long reader, or by half if that is
	// more, before it is copied.
	mostKept = 64 << 20
	// retryMapping is how long writes go on without another try after one failed.
	retryMapping = time.Minute
)

// reserve is the least that a file of a size is mapped at.
func (o Options) reserve(size int64) int64 {
	reserve := o.Reserve
	if reserve == 0 {
		reserve = max(defaultReserve, 4*size)
	}
	switch {
	case o.ReadOnly, runtime.GOOS == "windows":
		return 0
	case strconv.IntSize == 32:
		return min(reserve, mostReserve32)
	}
	return reserve
}

// mapSize is what bbolt maps for so many bytes.
func mapSize(n int64) int64 {
	const step = 1 << 30
	for size := int64(1 << 15); size <= step; size *= 2 {
		if n <= size {
			return size
		}
	}
	return (n + step - 1) / step * step
}

// makeRoom sees to it that what is written next fits the mapping, and that no
// long reader makes the file grow without end. If it cannot, bbolt maps the file
// itself, and readers wait. It returns the size of the file's contents, 0 if it
// cannot be read. The caller holds s.writer.
func (s *Store) makeRoom() (size int64) {
	f := s.db.Load()
	if s.opts.ReadOnly || s.refused != nil {
		return 0
	}
	if err := s.readPages(func(tx *bolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return 0 // the write will say so
	}
	if err := s.tryRoom(f, size); err != nil {
		f.retry = time.Now().Add(retryMapping)
		s.opts.Logger.Warn("no larger mapping: readers may wait for a Backup or Check", "error", err)
	}
	return size
}

func (s *Store) tryRoom(f *boltFile, size int64) error {
	mapped := f.mapped.Load()
	if size >= mapped { // bbolt was here
		mapped = mapSize(size + 1)
		f.mapped.Store(mapped)
	}
	larger := s.opts
	larger.Reserve = max(s.opts.reserve(size), 4*size, size+2*s.room)
	room, long := mapped-size, f.long.Load() > 0
	grows := larger.reserve(size) > mapped
	switch {
	case runtime.GOOS == "windows" || time.Now().Before(f.retry):
		return nil
	case long && (grows && room < max(mapped/16, s.room) || size-f.from > max(f.from/2, mostKept)):
		return s.replace(func(temp string) (*boltFile, error) { return s.copyFile(f, size, temp, larger) })
	case !long && grows && room < max(mapped/4, s.room):
		return s.mapAgain(f, larger)
	}
	return nil
}

// readLong makes known that the caller reads for long what is the store's file
// now, and returns what ends that. The caller holds s.writer.
func (s *Store) readLong() (end func()) {
	size := s.makeRoom()
	f := s.db.Load()
	if f.long.Add(1) == 1 {
		f.from = size
	}
	return func() { f.long.Add(-1) }
}

// mapAgain opens the file once more, with a larger mapping, and waits for those
// who read by the old one.
func (s *Store) mapAgain(f *boltFile, larger Options) error {
	next, err := openMapped(f.Path(), larger.bolt(0), f.file)
	if err != nil {
		if lost := relock(f.file); lost != nil { // bbolt gives the lock up when it fails
			s.refused = fmt.Errorf("store: the file's lock is lost: %w", lost)
		}
		return fmt.Errorf("map the file again: %w", err)
	}
	f.sharesLock = true
	s.use(next)
	s.leave(f)
	<-f.closed
	return f.err
}

// copyFile copies the file, to have a larger mapping.
func (s *Store) copyFile(f *boltFile, size int64, temp string, opts Options) (*boltFile, error) {
	was, err := f.file.Stat()
	if err != nil {
		return nil, err
	}
	out, err := createAnew(temp)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, io.NewSectionReader(f.file, 0, size), make([]byte, 1<<20))
	if err == nil {
		err = errors.Join(keepOwner(out, was), out.Chmod(was.Mode().Perm()))
	}
	if err == nil && !s.opts.NoSync {
		err = s.step("sync", out.Sync)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	return openMapped(temp, opts.bolt(0), nil)
}
