package eval

import (
	"encoding/binary"

	"github.com/xpeft/xpeft/bitmask"
)

// frameBytes is what a record takes beside the parts that a mode changes: format, id, revision,
// references, times, scores, checksum.
const frameBytes = 48

// countBytes is the size of the label counts that a prior is made of.
func countBytes(counts []uint32) int {
	n := 1
	for _, c := range counts {
		n += len(binary.AppendUvarint(nil, uint64(c)))
	}
	return n
}

// recordBytes is the size of a profile of masks as the store keeps it, about: 8 bits a value for
// LN_b's affine and the bias.
func recordBytes(m *bitmask.Mask, bottleneck int, affine, bias bool, counts []uint32) int {
	n := frameBytes + bitmask.Size(m.N, m.Blocks) + countBytes(counts)
	if affine {
		n += 2 + m.Blocks*(4+2*bottleneck)
	}
	if bias {
		n += 2 + 4 + len(counts)
	}
	return n
}
