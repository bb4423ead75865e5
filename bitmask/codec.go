package bitmask

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
