package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestCreate: a file appears whole, in the place of an older one, and an error leaves what was
// there and nothing beside it.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	broken := errors.New("broken")
	for _, c := range []struct {
		write, want string
		err         error
	}{{"first", "first", nil}, {"lost", "first", broken}, {"second", "second", nil}} {
		err := Create(dir, ".t-*.tmp", func(f *os.File) (string, error) {
			f.WriteString(c.write)
			return "a", c.err
		})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", c.write, err, c.err)
		}
		if got, err := os.ReadFile(path); string(got) != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.write, got, err, c.want)
		}
		if files, err := os.ReadDir(dir); len(files) != 1 {
			t.Errorf("%s: got %v, %v, want one file", c.write, files, err)
		}
	}
	if err := Create(filepath.Join(dir, "none"), ".t-*.tmp", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v, want ErrNotExist", err)
	}
}
