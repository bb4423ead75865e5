package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// Store is an open file of profiles. It is safe for concurrent use.
type Store struct {
	db   atomic.Pointer[boltFile]
	open sync.WaitGroup // files that are not closed yet
	path string
	opts Options
	meta Meta
	keys *keyring.Ring // nil: nothing is encrypted

	writer    turn // held by the goroutine that runs a transaction, or compacts
	queueLock sync.Mutex
	queue     []*writeOp

	rules     cohortRules
	importing turn         // held by the import that runs
	imports   atomic.Int64 // that run or wait

	stuck   atomic.Pointer[error] // why bbolt cannot be called any more
	refused error                 // under writer: why no write begins: the file may lose its name, or its lock
	closing atomic.Bool           // no more writes
	closed  atomic.Bool           // no more reads
	close   func() error

	reads, writes, commits atomic.Int64

	// What tests change: a hook after each commit, the profiles that one
	// transaction of an import merges, and how little room in the
	// mapping is too little.
	committed func()
	compacts  func(step string) error
	batch     int
	room      int64
}

// Open opens the store at path. It is fs.ErrNotExist if there is none,
// ErrLocked if another process has it open for longer than Options.Timeout,
// ErrReadOnly if this one may not write it and Options.ReadOnly is not set.
// An import that a crash cut short is undone if its bundle had not been verified;
// else Open merges the rest before it returns, or, if it cannot or ReadOnly is set, leaves
// it.
func Open(path string, o *Options) (*Store, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, fmt.Errorf("store: open: %w", err)
	case !info.Mode().IsRegular() || info.Size() == 0: // bbolt would fill it
		return nil, corrupt("%s is not a store", path)
	}
	f, err := openPages(path, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, opts: opts, rules: cohortRules{headLabels: opts.HeadLabels}, batch: batchProfiles,
		room: min(leastRoom, cmp.Or(opts.Reserve, leastRoom)), writer: make(turn, 1), importing: make(turn, 1)}
	s.use(f)
	s.close = sync.OnceValue(func() error {
		s.closing.Store(true)
		s.closed.Store(true)
		return errors.Join(s.closePages(), s.keys.Close())
	})
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), s.close())
	}
	return s, nil
}

// start reads the meta values, opens the keys, and finishes what a crash cut
// short.
func (s *Store) start() error {
	if err := s.readStart(); err != nil {
		return err
	}
	if err := s.startKeys(); err != nil {
		return err
	}
	if !s.opts.ReadOnly {
		s.removeLeft(compactSuffix, "a Compact")
		return s.prepare()
	}
	return s.refuseOld()
}

func (s *Store) readStart() error {
	return s.readPages(func(tx *bolt.Tx) (err error) {
		if s.meta, err = readMeta(tx); err != nil {
			return err
		}
		for _, name := range format.Buckets {
			if tx.Bucket(name) == nil && s.meta.Schema >= format.LaterBuckets[string(name)] {
				return corrupt("no bucket %q", name)
			}
		}
		_, err = readTally(tx)
		return err
	})
}

// prepare upgrades an older file and finishes what a crash cut short.
func (s *Store) prepare() error {
	if err := s.upgrade(); err != nil {
		return err
	}
	if err := s.recoverOld(); err != nil {
		return err
	}
	if err := s.finishImport(); err != nil { // the next import, or Open, tries again
		s.opts.Logger.Error("an import is not finished", "error", err)
	}
	s.meta.Schema = format.Schema
	// bbolt counts the free pages when a writing transaction ends.
	if err := s.writePages(func(*bolt.Tx) error { return errNothing }); err != errNothing {
		return err
	}
	return s.eraseOrphans()
}

// Close waits for transactions in progress and closes the file. A second Close
// does nothing.
func (s *Store) Close() error { return s.close() }

// Meta returns what the store is bound to.
func (s *Store) Meta() Meta { return s.meta }

// Path is the file's path, as given to Open.
func (s *Store) Path() string { return s.path }

// errNothing ends a transaction that is to write nothing.
var errNothing = errors.New("store: nothing to write")

// openPages opens the file by bbolt, once its branch pages and its list of
// free pages are known to be sound: with a loop among them bbolt would never
// come back, and with a page of data in the list it would write over it.
func openPages(path string, opts Options) (f *boltFile, err error) {
	for err = errReplaced; err == errReplaced; {
		f, err = tryOpenPages(path, opts)
	}
	return f, err
}

// errReplaced says that while a file's lock was waited for, its holder put
// another in its place.
var errReplaced = errors.New("store: file was compacted meanwhile")

func tryOpenPages(path string, opts Options) (*boltFile, error) {
	first := opts
	first.ReadOnly = true // reads nothing but the meta pages, and holds the lock
	f, err := openBolt(path, first, false)
	if err != nil {
		return nil, openError(path, err)
	}
	w := newWalk(nil)
	walked, statErr := f.file.Stat()
	err = errors.Join(statErr, w.Branches(f.file), f.DB.Close())
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	f, err = openBolt(path, opts, true)
	if err != nil {
		if !opts.ReadOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
			return nil, fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		return nil, openError(path, err)
	}
	opened, err := f.file.Stat()
	named, pathErr := os.Stat(path)
	if err = errors.Join(err, pathErr); err == nil && !(os.SameFile(opened, named) && os.SameFile(opened, walked)) {
		err = errReplaced
	}
	if err != nil {
		f.DB.Close()
		return nil, err
	}
	return f, nil
}

// newWalk walks over the pages of a store's file.
func newWalk(problem func(error)) *boltpages.Walk {
	return &boltpages.Walk{Problem: problem, Nested: string(format.Staging)}
}

func openBolt(path string, opts Options, freelist bool) (*boltFile, error) {
	var size int64
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	o := opts.bolt(size)
	o.PreLoadFreelist = freelist
	f, err := openMapped(path, o, nil)
	if errors.Is(err, syscall.ENOMEM) { // a limit on addresses: then only what is needed
		o.InitialMmapSize = 0
		f, err = openMapped(path, o, nil)
	}
	return f, err
}

// openMapped is bolt.Open of a file that exists, guarded; or of what shares the lock of
// one that is open, if that is given.
func openMapped(path string, o *bolt.Options, sharing *os.File) (*boltFile, error) {
	var db *bolt.DB
	var file *os.File
	o.OpenFile = func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
		if sharing != nil {
			file, err = shareLock(sharing)
		} else {
			file, err = os.OpenFile(path, flag&^os.O_CREATE, mode)
		}
		return file, err
	}
	err := guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, o)
		return err
	})
	if err == nil {
		return newBoltFile(db, file, o.InitialMmapSize), nil
	}
	if file != nil {
		file.Close() // and its lock, which a panic leaves
	}
	return nil, err
}

// bolt is bbolt's options for a file of a size.
func (o Options) bolt(size int64) *bolt.Options {
	return &bolt.Options{
		Timeout:         o.Timeout,
		ReadOnly:        o.ReadOnly,
		NoSync:          o.NoSync,
		NoGrowSync:      o.NoSync,
		FreelistType:    bolt.FreelistMapType,
		PreLoadFreelist: true, // Stats and Check read it, also read-only
		InitialMmapSize: int(o.reserve(size)),
	}
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrLocked, path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch):
		return corrupt("%s is not a store: %w", path, err)
	}
	// What bbolt says in words only: that the file is too short, for one.
	if f, ferr := os.Open(path); ferr == nil {
		defer f.Close()
		if _, merr := boltpages.ReadMeta(f); errors.Is(merr, ErrCorrupt) {
			return fmt.Errorf("store: open %s: %w", path, merr)
		}
	}
	return fmt.Errorf("store: open %s: %w", path, err)
}
