package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// AxesCheckpoint is the path of what a TrainBank that was cut off while it sought axes goes on from.
func AxesCheckpoint(dir string) string { return filepath.Join(Banks(dir), "axes.checkpoint") }

// DropAxesCheckpoint removes it, as everybody does who erases examples: they went into it.
func DropAxesCheckpoint(dir string) error {
	if err := os.Remove(AxesCheckpoint(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
