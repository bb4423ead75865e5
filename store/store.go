package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

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
