package boltpages

import (
	"bytes"
	"io"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Span is the keys that belong on a page: from Low on, nil for all, and below High, nil for all.
type Span struct{ Low, High []byte }

// Has says whether a key belongs on the page.
func (s Span) Has(key []byte) bool {
	return bytes.Compare(s.Low, key) <= 0 && (s.High == nil || bytes.Compare(key, s.High) < 0)
}

// Leaf finds the leaf page that a key belongs on, in the tree below a root page. It is ErrCorrupt
// if a page on the way begins with another key than the page above says or, with beside, a
// neighbour of one does, which bbolt may join it with. bbolt finds by that key what leads to a page
// that it has written anew: with another one it would leave what leads to the old page, which is
// free and soon part of something else, and could follow such pages for ever. It reads a page of a
// level, from the file.
func Leaf(f io.ReaderAt, size int, root uint64, key []byte, beside bool) (leaf Span, err error) {
	id := root
	for range maxLevels {
		branch, err := branchAt(f, size, id)
		if err != nil || branch == nil {
			return leaf, err
		}
		at := 0
		for at+1 < len(branch) && bytes.Compare(branch[at+1].key, key) <= 0 {
			at++
		}
		from, to := at, at
		if beside {
			from, to = max(at-1, 0), min(at+1, len(branch)-1)
		}
		for _, e := range branch[from : to+1] {
			if err := e.leads(f, size); err != nil {
				return leaf, err
			}
		}
		id, leaf.Low = branch[at].page, branch[at].key
		if at+1 < len(branch) {
			leaf.High = branch[at+1].key
		}
	}
	return leaf, format.Corrupt("page %d: no leaf below it in %d levels", root, maxLevels)
}

// maxBranch is more than a branch page has: bbolt splits one that is longer than a page unless it
// has four keys or fewer, of at most 32 KiB.
const maxBranch = 1 << 20

// branchAt reads the elements of a branch page; of a leaf there are none.
func branchAt(f io.ReaderAt, size int, id uint64) ([]element, error) {
	b := make([]byte, size)
	if _, err := f.ReadAt(b, int64(id)*int64(size)); err != nil {
		return nil, err
	}
	kind, count, overflow := native.Uint16(b[8:]), int(native.Uint16(b[10:])), int(native.Uint32(b[12:]))
	switch {
	case kind == kindLeaf:
		return nil, nil
	case kind != kindBranch || count == 0 || overflow > maxBranch/size:
		return nil, format.Corrupt("page %d: kind %#x with %d elements", id, kind, count)
	}
	if overflow > 0 {
		b = make([]byte, (overflow+1)*size)
		if _, err := f.ReadAt(b, int64(id)*int64(size)); err != nil {
			return nil, err
		}
	}
	all, whole := (&Walk{}).elements(&subtree{}, page{kind, uint16(count), b}, "")
	if !whole {
		return nil, format.Corrupt("page %d: an element is out of bounds or out of order", id)
	}
	return all, nil
}

// leads is ErrCorrupt unless the page below an element begins with its key.
func (e element) leads(f io.ReaderAt, size int) error {
	var head [pageHeader + ElementSize]byte
	at := int64(e.page) * int64(size)
	if _, err := f.ReadAt(head[:], at); err != nil {
		return err
	}
	first, got := placeOf(native.Uint16(head[8:]), head[pageHeader:], at+pageHeader), make([]byte, len(e.key))
	if native.Uint16(head[10:]) > 0 && first.value-first.key == int64(len(got)) {
		if _, err := f.ReadAt(got, first.key); err != nil && err != io.EOF {
			return err
		}
		if bytes.Equal(got, e.key) {
			return nil
		}
	}
	return format.Corrupt("page %d does not begin with the key that leads to it", e.page)
}
