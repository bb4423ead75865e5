package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/edsrzf/mmap-go"
)

// maxHeader is the limit of the reference implementation.
const maxHeader = 100 << 20

// File is an open safetensors file.
type File struct {
	tensors  []Tensor // by name
	metadata map[string]string
	raw      []byte
	mapping  mmap.MMap // nil after Parse and after Close
}

// Open maps the file at path read-only and checks it. Nothing but the header is read.
func Open(path string) (*File, error) {
	m, err := Map(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(m)
	if err != nil {
		m.Unmap()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.mapping = m
	return f, nil
}

// Map maps a file read-only. It refuses what mmap cannot serve, folders, pipes, and empty files.
func Map(path string) (mmap.MMap, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, corruptf("not a regular file"))
	}
	if info.Size() == 0 { // mmap refuses it
		return nil, fmt.Errorf("%s: %w", path, corruptf("%s", Foreign(nil)))
	}
	m, err := mmap.Map(h, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: map: %w", path, err)
	}
	return m, nil
}

// Parse reads a file that is in memory already. The tensors are views into b. The error of what is
// another kind of file says which, instead of what its bytes would mean here.
func Parse(b []byte) (*File, error) {
	f, err := parse(b)
	if err != nil {
		if what := stranger(b); what != "" {
			return nil, corruptf("%s", what)
		}
	}
	return f, err
}

func parse(b []byte) (*File, error) {
	if len(b) < 8 {
		return nil, corruptf("%d bytes, want at least 8: the file is cut off, download it again", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	switch {
	case n > maxHeader:
		return nil, corruptf("not a safetensors file: it begins with % x", b[:8])
	case n > uint64(len(b)-8):
		return nil, corruptf("header of %d bytes in a file of %d: the file is cut off, download it again", n, len(b))
	}
	entries, metadata, err := parseHeader(b[8 : 8+n])
	if err != nil {
		return nil, err
	}
	data := b[8+n:]
	if err := checkCover(entries, int64(len(data))); err != nil {
		return nil, err
	}
	f := &File{metadata: metadata, raw: b, tensors: make([]Tensor, len(entries))}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	for i, e := range entries {
		// The capacity is cut too, so that no append can reach a neighbour.
		e.Data = data[e.begin:e.end:e.end]
		f.tensors[i] = e.Tensor
	}
	return f, nil
}

// Tensors returns all tensors, sorted by name. The slice must not be changed.
func (f *File) Tensors() []Tensor { return f.tensors }

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Tensor, bool) {
	byName := func(t Tensor, name string) int { return strings.Compare(t.Name, name) }
	i, ok := slices.BinarySearchFunc(f.tensors, name, byName)
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Metadata returns a copy of the header's "__metadata__"; nil if there is none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Bytes returns the whole file, header included. It is a view, invalid after Close.
func (f *File) Bytes() []byte { return f.raw }

// Close unmaps the file: every view becomes invalid. It may be called twice.
func (f *File) Close() error {
	f.tensors, f.raw = nil, nil
	if f.mapping == nil {
		return nil
	}
	err := f.mapping.Unmap()
	f.mapping = nil
	return err
}

var (
	// ErrCorrupt marks bytes that are not a valid safetensors file.
	ErrCorrupt = errors.New("safetensors: corrupt file")
	// ErrDType marks a tensor whose element type does not suit the conversion asked for.
	ErrDType = errors.New("safetensors: unsuitable dtype")
)

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
