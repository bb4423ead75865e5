package bank

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// AxesFile is a file of axes that was read whole. It has a File's methods, and nothing to close.
type AxesFile struct {
	Axes   *Axes
	data   []byte
	digest Digest
}

// OpenAxes reads the file of axes at path and checks all of it.
func OpenAxes(path string) (*AxesFile, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() < axesHeaderSize || info.Size() > axesHeaderSize+MaxAxesBytes {
		return nil, fmt.Errorf("%s: %w", path, corruptf("axes: not a file of %d to %d bytes", axesHeaderSize, axesHeaderSize+MaxAxesBytes))
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(h, data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a, err := UnmarshalAxes(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &AxesFile{a, data, sha256.Sum256(data)}, nil
}

// Properties returns the bank's properties.
func (f *AxesFile) Properties() Properties { return f.Axes.Properties() }

// Digest returns the SHA-256 of the file, as it was read.
func (f *AxesFile) Digest() Digest { return f.digest }

// Size returns the length of the file.
func (f *AxesFile) Size() int64 { return int64(len(f.data)) }

// Verify has nothing left to do: OpenAxes checked all.
func (f *AxesFile) Verify(context.Context) error { return nil }

// WriteTo writes the file as it is.
func (f *AxesFile) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.data)
	return int64(n), err
}

// Close does nothing.
func (f *AxesFile) Close() error { return nil }
