package bitmask

import "fmt"

// Bytes returns the mask's rows as stored: Size(N, Blocks) bytes, in the
// format that the package comment states. It is a view, not a copy.
func (m *Mask) Bytes() []byte { return m.bits[:len(m.bits):len(m.bits)] }

// Decode returns the mask of the given shape whose bytes are b, which it
// copies. Bytes of another length, a row without exactly k ones, and a one at
// or after n are [ErrCorrupt].
func Decode(n, k, blocks int, b []byte) (*Mask, error) {
	if err := checkDims(n, k, blocks); err != nil {
		return nil, err
	}
	if len(b) != Size(n, blocks) {
		return nil, fmt.Errorf("%w: %d bytes, want %d for N=%d L=%d", ErrCorrupt, len(b), Size(n, blocks), n, blocks)
	}
	m := &Mask{N: n, K: k, Blocks: blocks, bits: append([]byte(nil), b...)}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m, nil
}
