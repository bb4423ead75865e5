package store

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"os"
)

// snapshotImage is the file as one transaction sees it, byte for byte what a backup of
// it restores: both meta pages are the transaction's, free pages are zeros.
type snapshotImage struct {
	file     *os.File
	pageSize int
	pages    uint64
	txid     uint64
	free     []bool // by page
	meta     []byte // pages 0 and 1
}

// newImage reads what it needs to know of the newest state. Nobody may write
// meanwhile; afterwards a transaction must keep the pages.
func newImage(f *os.File) (*snapshotImage, error) {
	w := pageWalk{problem: func(string, ...any) {}}
	if err := w.branches(f); err != nil {
		return nil, err
	}
	im := &snapshotImage{file: f, pageSize: w.meta.pageSize, pages: w.meta.high, txid: w.meta.txid, free: w.free}
	var b []byte
	for id := range int64(2) {
		page := make([]byte, im.pageSize)
		if _, err := f.ReadAt(page[:pageHeader+metaSize], id*int64(im.pageSize)); err != nil {
			return nil, corrupt("meta page %d: %w", id, err)
		}
		if m, ok := metaAt(f, id*int64(im.pageSize)); ok && m.txid == im.txid {
			b = page
		}
	}
	if b == nil {
		return nil, corrupt("meta page of transaction %d is gone", im.txid)
	}
	im.meta = append(metaPage(b, 0, im.txid), metaPage(b, 1, im.txid-1)...)
	return im, nil
}

// metaPage is a meta page under another number, of another transaction.
func metaPage(page []byte, id, txid uint64) []byte {
	b := append([]byte(nil), page...)
	native.PutUint64(b, id)
	meta := b[pageHeader:]
	native.PutUint64(meta[48:], txid)
	sum := fnv.New64a()
	sum.Write(meta[:metaSize-8])
	native.PutUint64(meta[metaSize-8:], sum.Sum64())
	return b
}

// read fills b with pages from first on.
func (im *snapshotImage) read(first uint64, b []byte) error {
	n, err := im.file.ReadAt(b, int64(first)*int64(im.pageSize))
	if n < len(b) {
		return corrupt("the file ends within page %d: %w", first+uint64(n/im.pageSize), err)
	}
	for i := range len(b) / im.pageSize {
		page := b[i*im.pageSize:][:im.pageSize]
		switch id := first + uint64(i); {
		case id < 2:
			copy(page, im.meta[int(id)*im.pageSize:])
		case im.free[id]:
			clear(page)
		}
	}
	return nil
}

// pageSum is what an increment is made by: the first bytes of a page's SHA-256.
type pageSum [16]byte

func sumOf(page []byte) (s pageSum) {
	sum := sha256.Sum256(page)
	copy(s[:], sum[:])
	return s
}

// imageDigest names an image.
func imageDigest(pageSize int, sums []pageSum) Digest {
	h := sha256.New()
	head := binary.LittleEndian.AppendUint32([]byte("xpeft image\x00"), uint32(pageSize))
	h.Write(binary.LittleEndian.AppendUint64(head, uint64(len(sums))))
	for i := range sums {
		h.Write(sums[i][:])
	}
	return Digest(h.Sum(nil))
}
