package format

import (
	"encoding/binary"
	"hash/crc32"
)

// Castagnoli is the polynomial of every checksum in the store's files.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SumSize is the length of a checksum.
const SumSize = 4

// AppendSum appends a CRC-32C of b.
func AppendSum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, Castagnoli))
}

// CutSum returns a view of what is before the checksum at the end of b, if that is right.
func CutSum(b []byte) (payload []byte, ok bool) {
	at := len(b) - SumSize
	if at < 0 || binary.LittleEndian.Uint32(b[at:]) != crc32.Checksum(b[:at], Castagnoli) {
		return nil, false
	}
	return b[:at:at], true
}
