package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/internal/durable"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

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

func writeEmpty(path string, meta Meta, opts Options) error {
	db, err := bolt.Open(path, 0o600, opts.bolt(0))
	if err != nil {
		return err
	}
	db.AllocSize = minGrowth
	meta.Schema = format.Schema
	if meta.Created.IsZero() {
		meta.Created = time.Now().UTC().Truncate(time.Microsecond)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range format.Buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		first := format.Tally{NextNumber: 1, NextBank: 1, NextHead: 1}
		if meta.Keys == "" {
			rules := cohortRules{headLabels: opts.HeadLabels}
			if err := rules.writeAll(tx, nil); err != nil {
				return err
			}
		}
		return errors.Join(writeMeta(tx, meta), writeTally(tx, &first), writeSums(tx, &format.Sums{}))
	})
	return errors.Join(err, db.Close())
}

// Move gives a store that nobody has open another path in the same file
// system. If there is a store already it is ErrExists; a crash leaves no store
// there or a whole one.
func Move(from, to string) error {
	var err error
	if _, none := os.Lstat(KeysPath(from)); !errors.Is(none, fs.ErrNotExist) {
		// Ahead of the store. One that is there is never replaced: a store may need it.
		if err = linkNew(KeysPath(from), KeysPath(to)); errors.Is(err, ErrExists) {
			err = fmt.Errorf("%w; if no store is beside it, it can be removed", err)
		}
	}
	if err == nil {
		if err = linkNew(from, to); err != nil {
			if _, moved := os.Lstat(KeysPath(from)); moved != nil {
				os.Remove(KeysPath(to)) // they open no other store
			}
		}
	}
	if err != nil {
		return fmt.Errorf("store: create: %w", err)
	}
	_ = durable.SyncDir(filepath.Dir(to)) // makes the name durable; not every system can
	return nil
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

// The file grows by a sixteenth at a time, within these bounds: bbolt's own
// 16 MiB would be most of a small store, and each time costs an fsync.
const (
	minGrowth = 1 << 20
	maxGrowth = 4 << 20
)

// growth is by how much a file of a size grows.
func growth(size int64) int { return int(min(max(size/16, minGrowth), maxGrowth)) }
