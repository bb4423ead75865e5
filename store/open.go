package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/format"
)

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
