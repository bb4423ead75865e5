// Package durable writes files that a crash leaves as they were, or new and whole.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Create fills a temporary file in dir, whose name is made by pattern as os.CreateTemp makes it,
// and then gives it the name that fill returned, in the place of what had that name. With an error
// nothing is left. After a crash the temporary file may be: it is safe to delete.
func Create(dir, pattern string, fill func(*os.File) (name string, err error)) error {
	t, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return err
	}
	name, err := fill(t)
	if err == nil {
		err = t.Sync()
	}
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(t.Name())
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes new names in a folder durable, where folders can be synced.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" { // which syncs no folder
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
