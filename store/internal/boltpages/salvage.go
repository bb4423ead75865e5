package boltpages

import "os"

// Salvage reads the elements of a damaged file's tree without bbolt: whatever
// is out of bounds it leaves out, and goes on. It reads each page once, and
// none that is free: what was deleted stays so. What it yields may be wrong;
// the checksums of the values say.
type Salvage struct {
	f       *os.File
	Meta    Meta
	End     int64             // of the pages
	Buckets map[string]Bucket // at the root

	maxKey, maxValue int64
	used             []bool
}

// Bucket is a bucket: a page of a tree, or the place of its only page. Zero
// is none.
type Bucket struct {
	page   uint64
	inline int64
}

// OpenSalvage finds the buckets. It leaves out keys and values that are longer than these. It
// is ErrCorrupt if no meta page is whole.
func OpenSalvage(f *os.File, maxKey, maxValue int64) (*Salvage, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := newestMeta(f)
	if err != nil {
		return nil, err
	}
	m.High = min(m.High, uint64(info.Size()/int64(m.PageSize))) // the file may be cut off
	s := &Salvage{f: f, Meta: m, End: int64(m.High) * int64(m.PageSize), maxKey: maxKey, maxValue: maxValue}
	s.used = make([]bool, m.High)
	w := Walk{f: f, Meta: m, Used: make([]bool, m.High), Free: s.used}
	w.freelist()
	s.Buckets, err = s.Within(Bucket{page: m.Root})
	return s, err
}

// Within are the buckets in one that holds buckets.
func (s *Salvage) Within(b Bucket) (map[string]Bucket, error) {
	found := map[string]Bucket{}
	return found, s.each(b, func(key []byte, e place) error {
		head, ok := s.bytes(e.value, bucketHeader)
		if ok && e.flags == 1 && e.end-e.value >= bucketHeader {
			found[string(key)] = Bucket{page: native.Uint64(head), inline: e.value + bucketHeader}
		}
		return nil
	})
}

// All calls fn with the elements of a bucket, if there is one. It can be called
// once for each.
func (s *Salvage) All(b Bucket, fn func(key, value []byte) error) error {
	return s.each(b, func(key []byte, e place) error {
		if e.end-e.value > s.maxValue {
			return nil
		}
		if value, ok := s.bytes(e.value, e.end-e.value); ok {
			return fn(key, value)
		}
		return nil
	})
}

// each calls fn with the key of each element, and where it is in the file.
func (s *Salvage) each(b Bucket, fn func(key []byte, e place) error) error {
	switch {
	case b.page != 0:
		return s.tree(b.page, 0, fn)
	case b.inline != 0:
		return s.page(b.inline, 0, fn)
	}
	return nil // there is none
}

// tree reads a page that belongs to nothing else, and what is below it.
func (s *Salvage) tree(id uint64, level int, fn func(key []byte, e place) error) error {
	if id < 2 || id >= s.Meta.High || s.used[id] || level > maxLevels {
		return nil
	}
	s.used[id] = true
	at := int64(id) * int64(s.Meta.PageSize)
	if head, ok := s.bytes(at, pageHeader); !ok || headerOf(head).id != id {
		return nil
	}
	return s.page(at, level, fn)
}

// page reads the elements of a page. How far it runs over does not matter: an
// element says itself where it ends.
func (s *Salvage) page(at int64, level int, fn func(key []byte, e place) error) error {
	head, ok := s.bytes(at, pageHeader)
	if !ok {
		return nil
	}
	h := headerOf(head)
	kind, count := h.kind, min(int64(h.count), (s.End-at-pageHeader)/ElementSize)
	elements, ok := s.bytes(at+pageHeader, count*ElementSize)
	for i := int64(0); ok && i < count; i++ {
		e := placeOf(kind, elements[i*ElementSize:], at+pageHeader+i*ElementSize)
		var err error
		switch kind {
		case kindBranch:
			err = s.tree(e.page, level+1, fn)
		case kindLeaf:
			if size := e.value - e.key; size == 0 || size > s.maxKey {
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
func (s *Salvage) bytes(at, size int64) ([]byte, bool) {
	if at < 0 || size > s.End-at {
		return nil, false
	}
	b := make([]byte, size)
	_, err := s.f.ReadAt(b, at)
	return b, err == nil
}
