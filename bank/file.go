package bank

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"

	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/internal/safetensors"
)

// File is an open bank file. It is mapped, so that opening reads only the header
// and the table of checksums, and processes that open the same file share its
// memory.
//
// All methods may be called concurrently. Close waits for the methods that run,
// but not for the users of what a Bank's Rows returned: those
// views must not be touched after Close. A mapped file must not be shortened by
// anyone while it is open: the operating system then raises SIGBUS.
type File struct {
	header
	data    []byte
	checked []atomic.Uint64 // one bit a row, set when its CRC was right

	mu     sync.RWMutex // held for reading while data is read
	closed atomic.Bool
	unmap  func() error
}

// OpenFile maps the bank file at path and checks its header, its size, the affine
// and the table of checksums. Rows are checked when they are read, all by Verify.
func OpenFile(path string) (*File, error) {
	m, err := safetensors.Map(path)
	if errors.Is(err, safetensors.ErrCorrupt) {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil, err
	}
	f, err := Decode(m)
	if err != nil {
		m.Unmap()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.unmap = m.Unmap
	return f, nil
}

// Decode opens a bank file that is in memory already. The File keeps data, which
// must not change.
func Decode(data []byte) (*File, error) {
	h, err := decodeHeader(data)
	if err != nil {
		return nil, err
	}
	crc := crc32.Checksum(h.affine.of(data), castagnoli)
	crc = crc32.Update(crc, castagnoli, h.checks.of(data))
	if crc != h.checksCRC {
		return nil, corruptf("affine and checksums: CRC %08x, want %08x", crc, h.checksCRC)
	}
	if i := notFinite(h.affine.of(data), F32); i >= 0 {
		return nil, corruptf("affine: entry %d is not finite", i)
	}
	rows := 2 * h.p.Blocks * h.p.N
	return &File{header: h, data: data, checked: make([]atomic.Uint64, (rows+63)/64)}, nil
}

// Close unmaps the file. Views into it are invalid afterwards. Closing again does
// nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed.Swap(true) {
		return nil
	}
	f.data = nil
	if f.unmap == nil {
		return nil
	}
	return f.unmap()
}

// Properties returns the bank's properties.
func (f *File) Properties() Properties { return f.p }

// Digest returns the digest that the header states. Verify checks it.
func (f *File) Digest() Digest { return f.digest }

// Size returns the length of the file.
func (f *File) Size() int64 { return f.size }

// region returns the weights of all adapters of one side in one block: [N, d, b]
// for Down and [N, b, d] for Up, little-endian entries of the bank's DType, 64-byte
// aligned in a mapped file. It is a view, unchecked: see checkedRow. It is nil after
// Close and where there is no such region.
func (f *File) region(side Side, block int) []byte {
	return f.view(side, block, layout.weights)
}

// biasRegion returns the biases of all adapters of one side in one block, [N, b] or
// [N, d], as region does. It is nil in a bank without biases.
func (f *File) biasRegion(side Side, block int) []byte {
	if !f.p.Bias {
		return nil
	}
	return f.view(side, block, layout.biases)
}

func (f *File) view(side Side, block int, where func(layout, Side, int) region) []byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.data == nil || f.p.checkRow(side, block, 0) != nil {
		return nil
	}
	return where(f.layout, side, block).of(f.data)
}

// Affine returns a copy of LN_b's affine from which a profile starts: [L][2][b], of
// each block its b scales, then its b shifts. It is nil after Close.
func (f *File) Affine() []float32 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.data == nil {
		return nil
	}
	affine := make([]float32, f.p.AffineElems())
	decodeEntries(affine, f.affine.of(f.data), F32)
	return affine
}

// Row returns a copy of one adapter's half in one block, checked, as float32. It is
// a RowFunc. In a bank without biases they are nil.
func (f *File) Row(side Side, block, adapter int) (weights, bias []float32, err error) {
	if err := f.checkedRow(side, block, adapter); err != nil {
		return nil, nil, err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.data == nil {
		return nil, nil, ErrClosed
	}
	w, b := f.row(side, block, adapter)
	weights = make([]float32, f.p.Elems())
	decodeEntries(weights, w.of(f.data), f.p.DType)
	if f.p.Bias {
		bias = make([]float32, f.p.BiasElems(side))
		decodeEntries(bias, b.of(f.data), f.p.DType)
	}
	return weights, bias, nil
}

func decodeEntries(dst []float32, src []byte, t DType) {
	if t == F32 {
		binary.Decode(src, binary.LittleEndian, dst) // src is long enough
		return
	}
	for i := range dst {
		dst[i] = half.To(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// notFinite returns the index of the first NaN or Inf, or -1.
func notFinite(b []byte, t DType) int { return safetensors.NotFinite(b, t.String()) }
