package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// AxesCheckpoint is the path of what a TrainBank that was cut off while it sought axes goes on
// from.
func AxesCheckpoint(dir string) string { return filepath.Join(Banks(dir), "axes.checkpoint") }

// AdapterCheckpoint is the same of a TrainBank that makes adapters.
func AdapterCheckpoint(dir string) string { return filepath.Join(Banks(dir), "training.checkpoint") }

// SetAside is where a checkpoint goes that cannot be continued.
func SetAside(checkpoint string) string { return checkpoint + ".old" }

// DropAxesCheckpoint removes that of axes.
func DropAxesCheckpoint(dir string) error { return drop(AxesCheckpoint(dir)) }

// DropCheckpoints removes all, as everybody does who erases examples: they went into them.
func DropCheckpoints(dir string) error {
	adapters := AdapterCheckpoint(dir)
	return errors.Join(DropAxesCheckpoint(dir), drop(adapters), drop(SetAside(adapters)))
}

func drop(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
