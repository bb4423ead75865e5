package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"syscall"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// errNothing ends a transaction that is to write nothing.
var errNothing = errors.New("store: nothing to write")

// openPages opens the file by bbolt, once its branch pages and its list of
// free pages are known to be sound: with a loop among them bbolt would never
// come back, and with a page of data in the list it would write over it.
func openPages(path string, opts Options) (db *bolt.DB, file *os.File, err error) {
	for err = errReplaced; err == errReplaced; {
		db, file, err = tryOpenPages(path, opts)
	}
	return db, file, err
}

// errReplaced says that while a file's lock was waited for, its holder put
// another in its place.
var errReplaced = errors.New("store: file was compacted meanwhile")

func tryOpenPages(path string, opts Options) (*bolt.DB, *os.File, error) {
	first := opts
	first.ReadOnly = true // reads nothing but the meta pages, and holds the lock
	db, file, err := openBolt(path, first, false)
	if err != nil {
		return nil, nil, openError(path, err)
	}
	w := pageWalk{problem: func(string, ...any) {}}
	walked, statErr := file.Stat()
	err = errors.Join(statErr, w.branches(file), db.Close())
	if err != nil {
		return nil, nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	db, file, err = openBolt(path, opts, true)
	if err != nil {
		if !opts.ReadOnly && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
			return nil, nil, fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		return nil, nil, openError(path, err)
	}
	opened, err := file.Stat()
	named, pathErr := os.Stat(path)
	if err = errors.Join(err, pathErr); err == nil && !(os.SameFile(opened, named) && os.SameFile(opened, walked)) {
		err = errReplaced
	}
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, file, nil
}

// openBolt is bolt.Open, guarded. It returns the file also with an error, if
// there is one, but closed.
func openBolt(path string, opts Options, freelist bool) (db *bolt.DB, file *os.File, err error) {
	o := opts.bolt()
	o.PreLoadFreelist = freelist
	o.OpenFile = func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
		file, err = os.OpenFile(path, flag&^os.O_CREATE, mode)
		return file, err
	}
	err = guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, o)
		return err
	})
	if err != nil && file != nil {
		file.Close() // and its lock, which a panic leaves
	}
	return db, file, err
}

// bolt is bbolt's options.
func (o Options) bolt() *bolt.Options {
	b := &bolt.Options{
		Timeout:         o.Timeout,
		ReadOnly:        o.ReadOnly,
		NoSync:          o.NoSync,
		NoGrowSync:      o.NoSync,
		FreelistType:    bolt.FreelistMapType,
		PreLoadFreelist: true, // Stats and Check read it, also read-only
	}
	if strconv.IntSize == 64 && runtime.GOOS != "windows" && !o.ReadOnly {
		// Address space only. A write that outgrows the mapping has to wait
		// for every reader, a slow Backup among them.
		b.InitialMmapSize = 1 << 30
	}
	return b
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
		if _, merr := readPageMeta(f); errors.Is(merr, ErrCorrupt) {
			return fmt.Errorf("store: open %s: %w", path, merr)
		}
	}
	return fmt.Errorf("store: open %s: %w", path, err)
}
