package bitmask

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	// ErrDims reports a shape that no mask can have, or two shapes that do
	// not fit each other.
	ErrDims = errors.New("bitmask: bad dimensions")
	// ErrNaN reports a logit that has no place in an order.
	ErrNaN = errors.New("bitmask: logit is NaN")
	// ErrCorrupt reports bytes that are not a mask of the stated shape.
	ErrCorrupt = errors.New("bitmask: corrupt mask")
)

// Limits of a mask's shape. They bound what a decoder may be asked for.
const (
	MaxAdapters = 1 << 16 // largest N
	MaxBlocks   = 1 << 10 // largest L
)

// Side says which of an adapter's two projections a row selects.
type Side int

const (
	Down Side = 0 // A: from the hidden size to the bottleneck
	Up   Side = 1 // B: from the bottleneck to the hidden size
)

func (s Side) String() string {
	switch s {
	case Down:
		return "down"
	case Up:
		return "up"
	}
	return fmt.Sprintf("Side(%d)", int(s))
}

// Mask is a profile's choice: for each side and block a row over N adapters
// with K ones. Its shape is fixed when it is made; do not write the fields.
type Mask struct {
	N      int // adapters in the bank
	K      int // ones in every row
	Blocks int // blocks of the encoder, L

	bits []byte // 2·Blocks rows: all Down, then all Up
}

// New returns a mask with empty rows. It is k-hot, and so may be stored, once
// every row has been filled, by [TopK] or bit by bit; [Mask.Check] tells.
func New(n, k, blocks int) (*Mask, error) {
	if err := checkDims(n, k, blocks); err != nil {
		return nil, err
	}
	return &Mask{N: n, K: k, Blocks: blocks, bits: make([]byte, Size(n, blocks))}, nil
}

// Row returns the row of one side and block. It is a view: writes to it are
// writes to the mask. It panics if block is not in [0, Blocks).
func (m *Mask) Row(side Side, block int) Row {
	if uint(side) > 1 || uint(block) >= uint(m.Blocks) {
		panic(fmt.Sprintf("bitmask: no row %v %d in a mask of %d blocks", side, block, m.Blocks))
	}
	w := RowBytes(m.N)
	at := (int(side)*m.Blocks + block) * w
	return Row(m.bits[at : at+w : at+w])
}

// Indices appends the adapters of one row to dst, in ascending order.
func (m *Mask) Indices(side Side, block int, dst []int32) []int32 {
	return m.Row(side, block).AppendIndices(dst)
}

// Equal says whether both masks have the same shape and rows, or both are nil.
func (m *Mask) Equal(o *Mask) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.N == o.N && m.Blocks == o.Blocks && m.K == o.K && bytes.Equal(m.bits, o.bits)
}

// Check says whether every row is k-hot: exactly K ones, none at or after N.
func (m *Mask) Check() error {
	if err := checkDims(m.N, m.K, m.Blocks); err != nil {
		return err
	}
	if len(m.bits) != Size(m.N, m.Blocks) {
		return fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, len(m.bits), Size(m.N, m.Blocks))
	}
	for i := range 2 * m.Blocks {
		side, block := Side(i/m.Blocks), i%m.Blocks
		row := m.Row(side, block)
		if got := row.Count(); got != m.K {
			return fmt.Errorf("%w: %d ones in row %v %d, want %d", ErrCorrupt, got, side, block, m.K)
		}
		if !row.tailClear(m.N) {
			return fmt.Errorf("%w: row %v %d has a one after adapter %d", ErrCorrupt, side, block, m.N-1)
		}
	}
	return nil
}

// Size is the length of a mask's bytes: 2·⌈n/8⌉·blocks, the paper's count.
func Size(n, blocks int) int { return 2 * RowBytes(n) * blocks }

func checkDims(n, k, blocks int) error {
	switch {
	case n < 1 || n > MaxAdapters:
		return fmt.Errorf("%w: N is %d, want 1 to %d", ErrDims, n, MaxAdapters)
	case k < 1 || k > n:
		return fmt.Errorf("%w: k is %d, want 1 to N=%d", ErrDims, k, n)
	case blocks < 1 || blocks > MaxBlocks:
		return fmt.Errorf("%w: L is %d, want 1 to %d", ErrDims, blocks, MaxBlocks)
	}
	return nil
}

// Bytes returns the mask's rows as stored: Size(N, Blocks) bytes, in the
// format that the package comment states. It is a view, not a copy.
func (m *Mask) Bytes() []byte { return m.bits[:len(m.bits):len(m.bits)] }

// Decode returns the mask of the given shape whose bytes are b, which it
// copies. Bytes of another length, a row without exactly k ones, and a one at
// or after n are [ErrCorrupt].
func Decode(n, k, blocks int, b []byte) (*Mask, error) {
	m, err := View(n, k, blocks, b)
	if err != nil {
		return nil, err
	}
	m.bits = append([]byte(nil), b...)
	return m, nil
}

// View is Decode without the copy: the mask is good until b is written to.
func View(n, k, blocks int, b []byte) (*Mask, error) {
	m := &Mask{N: n, K: k, Blocks: blocks, bits: b}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}
