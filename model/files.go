package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"
)

const (
	maxConfigFile    = 1 << 20
	maxTokenizerFile = 64 << 20 // the largest vocabularies in use take 20 MB
)

// readFile reads a small text file whole, up to a limit, so that no file decides how much is allocated.
func readFile(dir, name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", f.Name(), limit)
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%s: not UTF-8", f.Name())
	}
	return b, nil
}

// readOptional is readFile with nil for a file that does not exist.
func readOptional(dir, name string, limit int64) ([]byte, error) {
	b, err := readFile(dir, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
