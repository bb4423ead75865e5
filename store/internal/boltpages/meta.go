package boltpages

import (
	"encoding/binary"
	"hash/fnv"
	"os"

	"github.com/xpeft/xpeft/store/internal/format"
)

// bbolt's page format, version 2: a header of id (8 bytes), kind (2), count
// (2) and overflow (4), in the machine's byte order.
const (
	pageHeader = 16
	MinPage    = 1 << 10
	MaxPage    = 1 << 24

	ElementSize  = 16
	bucketHeader = 16 // a bucket's root page and its sequence; a small one has root 0, and its only page behind

	kindBranch   = 0x01
	kindLeaf     = 0x02
	kindMeta     = 0x04
	kindFreelist = 0x10

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	metaSize    = 64 // behind the header, its checksum of 8 bytes included
)

var native = binary.NativeEndian

// Meta is the newest meta page that is whole.
type Meta struct {
	PageSize             int
	Root, Freelist, High uint64 // pages; there are none from High on
	TxID                 uint64
	Torn                 bool // the other meta page is not whole
}

// ReadMeta is newestMeta, and ErrCorrupt if the file is cut off.
func ReadMeta(f *os.File) (m Meta, err error) {
	info, err := f.Stat()
	if err != nil {
		return m, err
	}
	if m, err = newestMeta(f); err != nil {
		return m, err
	}
	if want := int64(m.PageSize); m.High < 4 || m.High > uint64(info.Size()/want) {
		return m, format.Corrupt("the file is cut off: %d bytes, want %d pages of %d", info.Size(), m.High, want)
	}
	return m, nil
}

// newestMeta finds the page size and the newest of the two meta pages, as
// bbolt does. It is ErrCorrupt if neither is whole.
func newestMeta(f *os.File) (m Meta, err error) {
	first, firstOK := metaAt(f, 0)
	m, ok := first, firstOK
	for size := int64(MinPage); !ok && size <= MaxPage; size *= 2 {
		m, ok = metaAt(f, size)
		ok = ok && int64(m.PageSize) == size
	}
	if !ok {
		return m, format.Corrupt("neither meta page is whole")
	}
	second, secondOK := metaAt(f, int64(m.PageSize))
	switch {
	case !firstOK:
		m, m.Torn = second, true
	case !secondOK:
		m.Torn = true
	case second.TxID > first.TxID:
		m = second
	}
	return m, nil
}

func metaAt(f *os.File, at int64) (m Meta, ok bool) {
	var b [pageHeader + metaSize]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return m, false
	}
	meta := b[pageHeader:]
	sum := fnv.New64a()
	sum.Write(meta[:metaSize-8])
	if native.Uint32(meta) != boltMagic || native.Uint32(meta[4:]) != boltVersion ||
		native.Uint64(meta[metaSize-8:]) != sum.Sum64() {
		return m, false
	}
	m.PageSize = int(native.Uint32(meta[8:]))
	m.Root, m.Freelist = native.Uint64(meta[16:]), native.Uint64(meta[32:])
	m.High, m.TxID = native.Uint64(meta[40:]), native.Uint64(meta[48:])
	return m, m.PageSize >= MinPage && m.PageSize <= MaxPage && m.PageSize&(m.PageSize-1) == 0
}

// header is what a page begins with.
type header struct {
	id          uint64
	kind, count uint16
	overflow    uint32 // pages that it runs over into
}

func headerOf(b []byte) header {
	return header{native.Uint64(b), native.Uint16(b[8:]), native.Uint16(b[10:]), native.Uint32(b[12:])}
}

// place is what an element of a page says: flags, 1 being a bucket, and where its
// key and value are, of a leaf; the page below and where its key is, of a branch.
type place struct {
	flags           uint32
	page            uint64
	key, value, end int64
}

// placeOf reads an element that is at an offset, from which it counts.
func placeOf(kind uint16, b []byte, at int64) (e place) {
	pos, keySize, valueSize := native.Uint32(b[4:]), native.Uint32(b[8:]), native.Uint32(b[12:])
	if kind == kindBranch {
		e.page = native.Uint64(b[8:])
		pos, keySize, valueSize = native.Uint32(b), native.Uint32(b[4:]), 0
	} else {
		e.flags = native.Uint32(b)
	}
	e.key = at + int64(pos)
	e.value = e.key + int64(keySize)
	e.end = e.value + int64(valueSize)
	return e
}
