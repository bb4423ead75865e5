package boltpages

import (
	"bytes"
	"io"
	"slices"
	"sort"
	"sync"

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
	p := pages.Get().(*branch)
	defer pages.Put(p)
	id := root
	for range maxLevels {
		if found, err := p.read(f, size, id); err != nil || !found {
			return leaf, err
		}
		at := max(sort.Search(p.count, func(i int) bool { return bytes.Compare(p.at(i).key, key) > 0 })-1, 0)
		from, to := at, at
		if beside {
			from, to = max(at-1, 0), min(at+1, p.count-1)
		}
		for i := from; i <= to; i++ {
			if err := p.at(i).leads(f, size); err != nil {
				return leaf, err
			}
		}
		if p.wrong {
			return leaf, format.Corrupt("page %d: an element is out of bounds", id)
		}
		below := p.at(at)
		if id = below.page; at > 0 { // the first begins where the page above does
			leaf.Low = bytes.Clone(below.key)
		}
		if at+1 < p.count {
			leaf.High = bytes.Clone(p.at(at + 1).key)
		}
	}
	return leaf, format.Corrupt("page %d: no leaf below it in %d levels", root, maxLevels)
}

// branch is a branch page that is read, in memory that is used again.
type branch struct {
	b     []byte
	count int
	wrong bool // an element that was asked for is out of bounds
}

var pages = sync.Pool{New: func() any { return new(branch) }}

// maxBranch is more than a branch page has: bbolt splits one that is longer than a page unless it
// has four keys or fewer, of at most 32 KiB.
const maxBranch = 1 << 20

// read reads a branch page; of a leaf it finds none.
func (p *branch) read(f io.ReaderAt, size int, id uint64) (found bool, err error) {
	p.b = slices.Grow(p.b[:0], size)[:size]
	if _, err := f.ReadAt(p.b, int64(id)*int64(size)); err != nil {
		return false, err
	}
	h := headerOf(p.b)
	overflow := int(h.overflow)
	p.count, p.wrong = int(h.count), false
	if h.kind == kindLeaf {
		return false, nil
	}
	if h.kind != kindBranch || p.count == 0 || overflow > maxBranch/size ||
		pageHeader+p.count*ElementSize > (overflow+1)*size {
		return false, format.Corrupt("page %d: kind %#x with %d elements", id, h.kind, p.count)
	}
	if overflow > 0 {
		p.b = slices.Grow(p.b[:0], (overflow+1)*size)[:(overflow+1)*size]
		_, err = f.ReadAt(p.b, int64(id)*int64(size))
	}
	return true, err
}

// at is an element, a view of the page; one that is out of bounds has no key.
func (p *branch) at(i int) (e element) {
	at := pageHeader + i*ElementSize
	e.place = placeOf(kindBranch, p.b[at:], int64(at))
	if e.place.key >= e.place.value || e.end > int64(len(p.b)) {
		p.wrong = true
		return e
	}
	e.key = p.b[e.place.key:e.place.value]
	return e
}

// leads is ErrCorrupt unless the page below an element begins with its key.
func (e element) leads(f io.ReaderAt, size int) error {
	var head [pageHeader + ElementSize]byte
	at := int64(e.page) * int64(size)
	if _, err := f.ReadAt(head[:], at); err != nil {
		return err
	}
	h := headerOf(head[:])
	first, got := placeOf(h.kind, head[pageHeader:], at+pageHeader), make([]byte, len(e.key))
	if h.count > 0 && first.value-first.key == int64(len(got)) {
		if _, err := f.ReadAt(got, first.key); err != nil && err != io.EOF {
			return err
		}
		if bytes.Equal(got, e.key) {
			return nil
		}
	}
	return format.Corrupt("page %d does not begin with the key that leads to it", e.page)
}
