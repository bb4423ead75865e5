package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/internal/durable"
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
	importing chan struct{} // holds a token while no import runs
	imports   atomic.Int64  // that run or wait

	stuck     atomic.Pointer[error] // why bbolt cannot be called any more
	refused   error                 // under writer: why no write begins: the file may lose its name, or its lock
	closing   atomic.Bool           // no more writes
	closed    atomic.Bool           // no more reads
	closeOnce sync.Once
	closeErr  error

	reads, writes, commits atomic.Int64

	// What tests change: a hook after each commit, the profiles that one
	// transaction of an import merges, and how little room in the
	// mapping is too little.
	committed func()
	compacts  func(step string) error
	batch     int
	room      int64
}

// Create makes a store at path, bound to meta, and opens it. If there is a
// file already it is ErrExists; a crash leaves either no file or a whole one.
func Create(path string, meta Meta, o *Options) (*Store, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if opts.ReadOnly {
		return nil, fmt.Errorf("%w: cannot create %s", ErrReadOnly, path)
	}
	err = makeAt(path, "create "+path, func(temp string) (err error) {
		meta.Keys = ""
		if opts.MasterKey != nil {
			if meta.Keys, err = keyring.Create(KeysPath(temp), opts.MasterKey); err != nil {
				return err
			}
		}
		return writeEmpty(temp, meta, opts)
	})
	if err != nil {
		return nil, err
	}
	return Open(path, o)
}

// makeAt has fill make a store, at first under another name. What says what is
// done, for errors.
func makeAt(path, what string, fill func(temp string) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err == nil {
		defer os.Remove(temp.Name())
		defer os.Remove(KeysPath(temp.Name()))
		err = errors.Join(temp.Close(), fill(temp.Name()))
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, boltError(err))
	}
	return Move(temp.Name(), path)
}

// writeEmpty makes the buckets and the meta values of an empty store.
func writeEmpty(path string, meta Meta, opts Options) error {
	db, err := bolt.Open(path, 0o600, opts.bolt(0))
	if err != nil {
		return err
	}
	db.AllocSize = minGrowth
	meta.Schema = schema
	if meta.Created.IsZero() {
		meta.Created = time.Now().UTC().Truncate(time.Microsecond)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		first := tally{nextNumber: 1, nextBank: 1, nextHead: 1}
		if meta.Keys == "" {
			rules := cohortRules{headLabels: opts.HeadLabels}
			if err := rules.writeAll(tx, nil); err != nil {
				return err
			}
		}
		return errors.Join(writeMeta(tx, meta), first.write(tx), (&sums{}).write(tx))
	})
	return errors.Join(err, db.Close())
}

// Move gives a store that nobody has open another path in the same file
// system. If there is a store already it is ErrExists; a crash leaves no store
// there or a whole one.
func Move(from, to string) error {
	if err := moveKeys(from, to); err != nil {
		return fmt.Errorf("store: create: %w", err)
	}
	if err := linkNew(from, to); err != nil {
		if _, moved := os.Lstat(KeysPath(from)); moved != nil {
			os.Remove(KeysPath(to)) // they open no other store
		}
		return fmt.Errorf("store: create: %w", err)
	}
	_ = durable.SyncDir(filepath.Dir(to)) // makes the name durable; not every system can
	return nil
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
		room: opts.room(), writer: make(turn, 1), importing: make(chan struct{}, 1)}
	s.use(f)
	s.importing <- struct{}{}
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", path, err), s.closePages(), s.keys.Close())
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
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil && s.meta.Schema >= laterBuckets[string(name)] {
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
	s.meta.Schema = schema
	// bbolt counts the free pages when a writing transaction ends.
	if err := s.writePages(func(*bolt.Tx) error { return errNothing }); err != errNothing {
		return err
	}
	return s.eraseOrphans()
}

// Close waits for transactions in progress and closes the file. A second Close
// does nothing.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.closing.Store(true)
		s.closed.Store(true)
		s.closeErr = errors.Join(s.closePages(), s.keys.Close())
	})
	return s.closeErr
}

// Meta returns what the store is bound to.
func (s *Store) Meta() Meta { return s.meta }

// Path is the file's path, as given to Open.
func (s *Store) Path() string { return s.path }

func readMeta(tx *bolt.Tx) (m Meta, err error) {
	b := tx.Bucket(bktMeta)
	if b == nil {
		return m, corrupt("not a store: no bucket %q", bktMeta)
	}
	return decodeMeta(b.Get(keyStore))
}

func decodeMeta(value []byte) (m Meta, err error) {
	text, err := format.Unseal(tagMeta, keyStore, value)
	if err != nil {
		return m, corrupt("meta: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, corrupt("meta: %w", err)
	}
	if m.Schema > schema {
		return m, fmt.Errorf("%w: schema %d, this one reads up to %d", ErrSchema, m.Schema, schema)
	}
	if m.Schema < 1 {
		return m, corrupt("schema %d", m.Schema)
	}
	return m, nil
}

func writeMeta(tx *bolt.Tx, m Meta) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Bucket(bktMeta).Put(keyStore, format.Seal(tagMeta, keyStore, text))
}

// linkNew gives a file another name, unless a file has that. Unlike a rename it
// keeps what another process made meanwhile.
func linkNew(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrExists, to)
	}
	if err != nil { // a file system without links
		return os.Rename(from, to)
	}
	return os.Remove(from)
}

// KeysPath is where the keys of an encrypted store at path are.
func KeysPath(path string) string { return strings.TrimSuffix(path, ".db") + ".keys" }

// moveKeys moves a new store's file of keys, ahead of the store. One that is
// there is never replaced: a store may need it.
func moveKeys(from, to string) error {
	if _, err := os.Lstat(KeysPath(from)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := linkNew(KeysPath(from), KeysPath(to))
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("%w; if no store is beside it, it can be removed", err)
	}
	return err
}

// The file grows by a sixteenth at a time, within these bounds: bbolt's own
// 16 MiB would be most of a small store, and each time costs an fsync.
const (
	minGrowth = 1 << 20
	maxGrowth = 4 << 20
)

// growth is by how much a file of a size grows.
func growth(size int64) int { return int(min(max(size/16, minGrowth), maxGrowth)) }
