package store

import "os"

// salvage reads the elements of a damaged file's tree without bbolt: whatever
// is out of bounds it leaves out, and goes on. It reads each page once, and
// none that is free: what was deleted stays so. What it yields may be wrong;
// the checksums of the values say.
type salvage struct {
	f       *os.File
	meta    pageMeta
	end     int64 // of the pages
	used    []bool
	buckets map[string]salvaged // at the root
}

// salvaged is a bucket: a page of a tree, or the place of its only page. Zero
// is none.
type salvaged struct {
	page   uint64
	inline int64
}

// Beyond these no key or value is ours.
const (
	maxSalvagedKey   = 1 << 15
	maxSalvagedValue = MaxRecord + 1<<10
)

// openSalvage finds the buckets. It is ErrCorrupt if no meta page is whole.
func openSalvage(f *os.File) (*salvage, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := newestMeta(f)
	if err != nil {
		return nil, err
	}
	m.high = min(m.high, uint64(info.Size()/int64(m.pageSize))) // the file may be cut off
	s := &salvage{f: f, meta: m, end: int64(m.high) * int64(m.pageSize), used: make([]bool, m.high)}
	w := pageWalk{problem: func(string, ...any) {}, f: f, meta: m, used: make([]bool, m.high), free: s.used}
	w.freelist()
	s.buckets, err = s.within(salvaged{page: m.root})
	return s, err
}

// within are the buckets in one that holds buckets.
func (s *salvage) within(b salvaged) (map[string]salvaged, error) {
	found := map[string]salvaged{}
	return found, s.each(b, func(key []byte, e place) error {
		head, ok := s.bytes(e.value, bucketHeader)
		if ok && e.flags == 1 && e.end-e.value >= bucketHeader {
			found[string(key)] = salvaged{page: native.Uint64(head), inline: e.value + bucketHeader}
		}
		return nil
	})
}

// all calls fn with the elements of a bucket, if there is one. It can be called
// once for each.
func (s *salvage) all(b salvaged, fn func(key, value []byte) error) error {
	return s.each(b, func(key []byte, e place) error {
		if e.end-e.value > maxSalvagedValue {
			return nil
		}
		if value, ok := s.bytes(e.value, e.end-e.value); ok {
			return fn(key, value)
		}
		return nil
	})
}

// each calls fn with the key of each element, and where it is in the file.
func (s *salvage) each(b salvaged, fn func(key []byte, e place) error) error {
	switch {
	case b.page != 0:
		return s.tree(b.page, 0, fn)
	case b.inline != 0:
		return s.page(b.inline, 0, fn)
	}
	return nil // there is none
}

// tree reads a page that belongs to nothing else, and what is below it.
func (s *salvage) tree(id uint64, level int, fn func(key []byte, e place) error) error {
	if id < 2 || id >= s.meta.high || s.used[id] || level > maxLevels {
		return nil
	}
	s.used[id] = true
	at := int64(id) * int64(s.meta.pageSize)
	if head, ok := s.bytes(at, pageHeader); !ok || native.Uint64(head) != id {
		return nil
	}
	return s.page(at, level, fn)
}

// page reads the elements of a page. How far it runs over does not matter: an
// element says itself where it ends.
func (s *salvage) page(at int64, level int, fn func(key []byte, e place) error) error {
	head, ok := s.bytes(at, pageHeader)
	if !ok {
		return nil
	}
	kind, count := native.Uint16(head[8:]), int64(native.Uint16(head[10:]))
	count = min(count, (s.end-at-pageHeader)/elementSize)
	elements, ok := s.bytes(at+pageHeader, count*elementSize)
	for i := int64(0); ok && i < count; i++ {
		e := placeOf(kind, elements[i*elementSize:], at+pageHeader+i*elementSize)
		var err error
		switch kind {
		case kindBranch:
			err = s.tree(e.page, level+1, fn)
		case kindLeaf:
			if size := e.value - e.key; size == 0 || size > maxSalvagedKey {
				continue
			}
			if key, ok := s.bytes(e.key, e.value-e.key); ok {
				err = fn(key, e)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bytes reads what is within the pages.
func (s *salvage) bytes(at, size int64) ([]byte, bool) {
	if at < 0 || size > s.end-at {
		return nil, false
	}
	b := make([]byte, size)
	_, err := s.f.ReadAt(b, at)
	return b, err == nil
}
