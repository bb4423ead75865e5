package bank

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// wholeFile is a file of axes that was read whole.
type wholeFile struct {
	data   []byte
	digest Digest
}

func readWhole(path string, least, most int64) (*wholeFile, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() < least || info.Size() > most {
		return nil, fmt.Errorf("%s: %w", path, corruptf("axes: not a file of %d to %d bytes", least, most))
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(h, data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &wholeFile{data, sha256.Sum256(data)}, nil
}

// Digest returns the SHA-256 of the file, as it was read.
func (f *wholeFile) Digest() Digest { return f.digest }

// Size returns the length of the file.
func (f *wholeFile) Size() int64 { return int64(len(f.data)) }

// Verify has nothing left to do: all was checked when the file was read.
func (f *wholeFile) Verify(context.Context) error { return nil }

// WriteTo writes the file as it is.
func (f *wholeFile) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.data)
	return int64(n), err
}

// Close does nothing.
func (f *wholeFile) Close() error { return nil }

// AxesFile is a file of axes that was read whole. It has a File's methods, and nothing to close.
type AxesFile struct {
	*wholeFile
	Axes *Axes
}

// OpenAxes reads the file of axes at path and checks all of it.
func OpenAxes(path string) (*AxesFile, error) {
	f, err := readWhole(path, axesHeaderSize, axesHeaderSize+MaxAxesBytes)
	if err != nil {
		return nil, err
	}
	a, err := UnmarshalAxes(f.data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &AxesFile{f, a}, nil
}

// Properties returns the bank's properties.
func (f *AxesFile) Properties() Properties { return f.Axes.Properties() }
