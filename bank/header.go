package bank

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	magic       = "XPFTBANK"
	fileVersion = 1   // of bottleneck adapters
	loraVersion = 2   // of LoRAs, which programs that know version 1 alone cannot serve
	headerSize  = 128 // before the region table

	// Offsets in the header.
	atVersion    = 8
	atHeaderLen  = 12
	atSize       = 16
	atChecksCRC  = 24
	atHeaderCRC  = 28
	atDigest     = 32
	atProperties = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what precedes the regions.
type header struct {
	layout
	digest    Digest
	checksCRC uint32 // of the affine and of the rows' CRCs
}

// encode returns the header and the region table of properties that were validated.
func (h header) encode() []byte {
	props, _ := h.p.MarshalBinary()
	b := make([]byte, h.layout.header)
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[atVersion:], h.p.version())
	le.PutUint32(b[atHeaderLen:], uint32(h.layout.header))
	le.PutUint64(b[atSize:], uint64(h.size))
	le.PutUint32(b[atChecksCRC:], h.checksCRC)
	copy(b[atDigest:], h.digest[:])
	copy(b[atProperties:], props)
	for i, r := range h.regions() {
		le.PutUint64(b[headerSize+16*i:], uint64(r.off))
		le.PutUint64(b[headerSize+16*i+8:], uint64(r.len))
	}
	le.PutUint32(b[atHeaderCRC:], headerCRC(b))
	return b
}

// version is that of a bank's file.
func (p Properties) version() uint32 {
	if p.Targets != 0 {
		return loraVersion
	}
	return fileVersion
}

// headerCRC covers all but its own four bytes.
func headerCRC(b []byte) uint32 {
	crc := crc32.Checksum(b[:atHeaderCRC], castagnoli)
	return crc32.Update(crc, castagnoli, b[atHeaderCRC+4:])
}

// decodeFixed reads the first headerSize bytes. Their properties say how long the
// header and the file must be; nothing but decodeHeader has checked their CRC.
func decodeFixed(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, corruptf("header: %d bytes, want at least %d", len(b), headerSize)
	}
	if string(b[:len(magic)]) != magic {
		return header{}, corruptf("header: not a bank file")
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[atVersion:]); v < fileVersion || v > loraVersion {
		return header{}, &UnsupportedError{Field: "version", Value: fmt.Sprint(v),
			Want: fmt.Sprintf("%d or %d", fileVersion, loraVersion)}
	}
	var p Properties
	if err := p.UnmarshalBinary(b[atProperties : atProperties+propertiesSize]); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	if p.Origin != Warm {
		return header{}, corruptf("header: a file holds a warm bank, this is a %v one", p.Origin)
	}
	return header{layout: newLayout(p), digest: Digest(b[atDigest:]), checksCRC: le.Uint32(b[atChecksCRC:])}, nil
}

// decodeHeader reads the header of a whole file and checks it against the file.
func decodeHeader(data []byte) (header, error) {
	h, err := decodeFixed(data)
	if err != nil {
		return header{}, err
	}
	if int64(len(data)) != h.size {
		return header{}, corruptf("file of %d bytes, want %d", len(data), h.size)
	}
	if !bytes.Equal(data[:h.layout.header], h.encode()) {
		return header{}, corruptf("header: its CRC, a size or a region is not that of its properties")
	}
	return h, nil
}
