package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Limits of a file from outside.
const (
	maxArrays = 64
	maxHeader = 1 << 12
	maxRank   = 8
	maxString = 1 << 12 // characters
)

// ErrFormat marks bytes that are no .npz file of numbers and strings.
var ErrFormat = errors.New("npz: bad file")

func formatf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Read reads a file's arrays, whose entries take at most some bytes together.
func Read(data []byte, most int64) (map[string]Array, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, formatf("%v", err)
	}
	if len(z.File) > maxArrays {
		return nil, formatf("%d arrays, want at most %d", len(z.File), maxArrays)
	}
	all := map[string]Array{}
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if _, twice := all[name]; !ok || twice {
			return nil, formatf("%.60q is no array, or there twice", f.Name)
		}
		b, err := unzip(f, most)
		if err != nil {
			return nil, formatf("array %.60q: %v", name, err)
		}
		most -= int64(len(b))
		if all[name], err = decode(b); err != nil {
			return nil, fmt.Errorf("array %.60q: %w", name, err)
		}
	}
	return all, nil
}

// unzip reads a member of the archive, whatever size it says it has.
func unzip(f *zip.File, most int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("the file unpacks to more bytes than the limit")
	}
	return b, err
}

// Write writes arrays, numbers as float32 and strings as U. Equal arrays are equal bytes.
func Write(w io.Writer, arrays map[string]Array) error {
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		b, err := encode(arrays[name])
		if err != nil {
			return fmt.Errorf("npz: array %q: %w", name, err)
		}
		f, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return z.Close()
}
