package store

import (
	"encoding/binary"
	"hash/fnv"
	"os"
)

// bbolt's page format, version 2: a header of id (8 bytes), kind (2), count
// (2) and overflow (4), in the machine's byte order.
const (
	pageHeader = 16
	minPage    = 1 << 10
	maxPage    = 1 << 24

	elementSize  = 16
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

// pageMeta is the newest meta page that is whole.
type pageMeta struct {
	pageSize             int
	root, freelist, high uint64 // pages; there are none from high on
	txid                 uint64
	torn                 bool // the other meta page is not whole
}

// readPageMeta is newestMeta, and ErrCorrupt if the file is cut off.
func readPageMeta(f *os.File) (m pageMeta, err error) {
	info, err := f.Stat()
	if err != nil {
		return m, err
	}
	if m, err = newestMeta(f); err != nil {
		return m, err
	}
	if want := int64(m.pageSize); m.high < 4 || m.high > uint64(info.Size()/want) {
		return m, corrupt("the file is cut off: %d bytes, want %d pages of %d", info.Size(), m.high, want)
	}
	return m, nil
}

// newestMeta finds the page size and the newest of the two meta pages, as
// bbolt does. It is ErrCorrupt if neither is whole.
func newestMeta(f *os.File) (m pageMeta, err error) {
	first, firstOK := metaAt(f, 0)
	m, ok := first, firstOK
	for size := int64(minPage); !ok && size <= maxPage; size *= 2 {
		m, ok = metaAt(f, size)
		ok = ok && int64(m.pageSize) == size
	}
	if !ok {
		return m, corrupt("neither meta page is whole")
	}
	second, secondOK := metaAt(f, int64(m.pageSize))
	switch {
	case !firstOK:
		m, m.torn = second, true
	case !secondOK:
		m.torn = true
	case second.txid > first.txid:
		m = second
	}
	return m, nil
}

func metaAt(f *os.File, at int64) (m pageMeta, ok bool) {
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
	m.pageSize = int(native.Uint32(meta[8:]))
	m.root, m.freelist = native.Uint64(meta[16:]), native.Uint64(meta[32:])
	m.high, m.txid = native.Uint64(meta[40:]), native.Uint64(meta[48:])
	return m, m.pageSize >= minPage && m.pageSize <= maxPage && m.pageSize&(m.pageSize-1) == 0
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
