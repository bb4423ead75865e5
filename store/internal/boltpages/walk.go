package boltpages

import (
	"bytes"
	"fmt"
	"os"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Walk looks at the pages themselves, without bbolt, which would follow a
// loop for ever and faults on what is out of bounds. It reads no byte that it
// has not checked the bounds of.
type Walk struct {
	// Problem is told of all that is wrong; nil: nobody is.
	Problem func(error)
	// Nested is the name of a bucket that holds buckets.
	Nested string

	Meta Meta
	Used []bool // by page
	Free []bool
	// Unsafe says that bbolt might never come back from these pages: one is led to
	// twice, be it by a page below it, or it is not known where one leads, as bbolt
	// takes for a branch whatever is not a leaf. Or that it might read beyond a
	// small bucket, which it has copied to Go's memory.
	Unsafe bool

	f     *os.File
	whole bool  // every page is read; else what Branches says
	wrong error // the first problem
}

func (w *Walk) fail(text string, args ...any) {
	problem := fmt.Errorf(text, args...)
	if w.wrong == nil {
		w.wrong = format.Corrupt("%w", problem)
	}
	if w.Problem != nil {
		w.Problem(problem)
	}
}

// Branches walks over the list of free pages, the branch pages and those that list buckets: a
// few of a thousand, and all that a loop can go through. It is ErrCorrupt with the first
// problem. Nobody may write meanwhile.
func (w *Walk) Branches(f *os.File) (err error) {
	w.f = f
	if w.Meta, err = ReadMeta(f); err != nil {
		w.fail("%w", err)
		return err
	}
	w.Used, w.Free = make([]bool, w.Meta.High), make([]bool, w.Meta.High)
	w.use(0, 1, "the meta pages")
	w.freelist()
	w.tree(&subtree{by: "the root", page: w.Meta.Root, root: true})
	return w.wrong
}

// All walks over every page.
func (w *Walk) All(f *os.File) error {
	w.whole = true
	err := w.Branches(f)
	if w.Used == nil {
		return err
	}
	for id, used := range w.Used {
		if !used && !w.Free[id] && w.wrong == nil { // damaged pages lead nowhere
			w.fail("page %d: neither used nor free", id)
		}
	}
	return w.wrong
}

// use marks pages, and is false if there are no such pages or they are used.
func (w *Walk) use(id, overflow uint64, by string) bool {
	if id >= w.Meta.High || overflow >= w.Meta.High-id {
		w.fail("page %d and %d more, of %s: there are %d", id, overflow, by, w.Meta.High)
		return false
	}
	for p := id; p <= id+overflow; p++ {
		if w.Used[p] || w.Free[p] {
			w.fail("page %d, of %s: used twice, or free", p, by)
			w.Unsafe = true
			return false
		}
		w.Used[p] = true
	}
	return true
}

// page is a page's header and its bytes, those it runs over into included.
type page struct {
	kind, count uint16
	b           []byte
}

// read reads a page that is not used yet, and marks it.
func (w *Walk) read(id uint64, by string) (p page, ok bool) {
	if !w.use(id, 0, by) {
		return p, false
	}
	var head [pageHeader]byte
	at := int64(id) * int64(w.Meta.PageSize)
	if _, err := w.f.ReadAt(head[:], at); err != nil {
		w.fail("page %d: %w", id, err)
		return p, false
	}
	h := headerOf(head[:])
	overflow := uint64(h.overflow)
	if p.kind, p.count = h.kind, h.count; h.id != id {
		w.fail("page %d, of %s: says that it is page %d", id, by, h.id)
		return p, false
	}
	if overflow > 0 && !w.use(id+1, overflow-1, by) {
		return p, false
	}
	p.b = make([]byte, int(overflow+1)*w.Meta.PageSize)
	if _, err := w.f.ReadAt(p.b, at); err != nil {
		w.fail("page %d: %w", id, err)
		return p, false
	}
	return p, true
}

func (w *Walk) freelist() {
	const by = "the list of free pages"
	if w.Meta.Freelist == ^uint64(0) {
		w.fail("there is no list of free pages")
		return
	}
	p, ok := w.read(w.Meta.Freelist, by)
	if !ok {
		return
	}
	ids, count := p.b[pageHeader:], uint64(p.count)
	if count == 0xFFFF { // more than fit its two bytes
		count, ids = native.Uint64(ids), ids[8:]
	}
	if p.kind != kindFreelist || count > uint64(len(ids)/8) {
		w.fail("page %d, of %s: kind %#x with %d pages", w.Meta.Freelist, by, p.kind, count)
		return
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id >= w.Meta.High || w.Used[id] || w.Free[id] {
			w.fail("%s: page %d of %d is used, or free twice", by, id, w.Meta.High)
			continue
		}
		w.Free[id] = true
	}
}

// subtree is a page and what the pages above it say of it: its first key is low
// and all are below high, nil for any.
type subtree struct {
	by        string // what it belongs to, for messages
	root      bool   // the bucket holds buckets
	page      uint64
	low, high []byte
	level     int
	bottom    *int // level of the leaves, once one was seen
}

// maxLevels is more than a tree of any file has.
const maxLevels = 64

func (w *Walk) tree(t *subtree) {
	by := t.by
	if t.bottom == nil {
		t.bottom = new(int)
	}
	if !w.whole && !t.root && *t.bottom > 0 && t.level == *t.bottom {
		w.use(t.page, 0, by)
		return
	}
	p, ok := w.read(t.page, by)
	if !ok {
		return
	}
	where := fmt.Sprintf("page %d, of %s", t.page, by)
	switch {
	case p.kind == kindLeaf:
		*t.bottom = t.level
		if w.whole || t.root {
			w.leaf(t, p, where)
		}
	case p.kind == kindBranch && t.level < maxLevels:
		w.branch(t, p, where)
	default:
		w.Unsafe = true
		w.fail("%s: kind %#x at level %d", where, p.kind, t.level)
	}
}

// element is an element whose key and value are within its page.
type element struct {
	place
	key, value []byte
}

// elements reads those of a page up to the first that is out of bounds or out of
// order.
func (w *Walk) elements(t *subtree, p page, where string) (all []element, whole bool) {
	count, last := int(p.count), t.low
	if p.kind == kindBranch && count == 0 || pageHeader+count*ElementSize > len(p.b) {
		w.Unsafe = w.Unsafe || p.kind == kindBranch || t.root || t.page == 0
		w.fail("%s: %s of %d elements", where, map[uint16]string{kindLeaf: "leaf", kindBranch: "branch"}[p.kind], count)
		return nil, false
	}
	all = make([]element, 0, count)
	for i := range count {
		at := pageHeader + i*ElementSize
		e, wrong := element{place: placeOf(p.kind, p.b[at:], int64(at))}, "an element is out of bounds"
		if from, mid, end := e.place.key, e.place.value, e.end; from < mid && end <= int64(len(p.b)) {
			e.key, e.value, wrong = p.b[from:mid:mid], p.b[mid:end:end], ""
			order := bytes.Compare(last, e.key)
			if i == 0 && t.low != nil && order != 0 {
				wrong = "another key leads to the page"
			} else if order > 0 || order == 0 && i > 0 || t.high != nil && bytes.Compare(e.key, t.high) >= 0 {
				wrong = "a key is out of order"
			}
		}
		if wrong != "" {
			w.Unsafe = w.Unsafe || p.kind == kindBranch || t.root || t.page == 0
			w.fail("%s: element %d: %s", where, i, wrong)
			return all, false
		}
		all, last = append(all, e), e.key
	}
	return all, true
}

func (w *Walk) branch(t *subtree, p page, where string) {
	all, whole := w.elements(t, p, where)
	for i := 0; whole && i < len(all); i++ {
		below := subtree{t.by, t.root, all[i].page, all[i].key, t.high, t.level + 1, t.bottom}
		if i+1 < len(all) {
			below.high = all[i+1].key
		}
		w.tree(&below)
	}
}

// leaf looks at every element of a leaf page, and walks over its buckets.
func (w *Walk) leaf(t *subtree, p page, where string) {
	all, _ := w.elements(t, p, where)
	for i, e := range all {
		switch {
		case t.root && e.flags == 1:
			w.bucket(string(e.key), e.value, where)
		case t.root || e.flags != 0:
			w.fail("%s: element %d has flags %#x", where, i, e.flags)
		}
	}
}

func (w *Walk) bucket(name string, value []byte, where string) {
	t := &subtree{by: fmt.Sprintf("bucket %q", name), root: name == w.Nested}
	if len(value) < bucketHeader {
		w.Unsafe = true
		w.fail("%s: bucket %q of %d bytes", where, name, len(value))
		return
	}
	if t.page = native.Uint64(value); t.page != 0 {
		w.tree(t)
		return
	}
	inline := value[bucketHeader:]
	where = fmt.Sprintf("bucket %q in %s", name, where)
	if len(inline) < pageHeader || headerOf(inline).kind != kindLeaf {
		w.Unsafe = true
		w.fail("%s: %d bytes, not a leaf", where, len(inline))
		return
	}
	w.leaf(t, page{kindLeaf, headerOf(inline).count, inline}, where)
}
