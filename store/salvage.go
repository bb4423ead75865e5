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

// salvaged is a bucket: a page of a tree, or the place of its only page.
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
	s.buckets = map[string]salvaged{}
	w := pageWalk{problem: func(string, ...any) {}, f: f, meta: m, used: make([]bool, m.high), free: s.used}
	w.freelist()
	return s, s.rootOf(salvaged{page: m.root}, s.buckets)
}

// rootOf reads what buckets are in one that holds buckets.
func (s *salvage) rootOf(b salvaged, into map[string]salvaged) error {
	return s.each(b, func(e salvagedElement) error {
		var head [bucketHeader]byte
		if e.flags != 1 || e.valueSize < bucketHeader || !s.readAt(head[:], e.value) {
			return nil
		}
		key, ok := s.bytes(e.key, e.keySize)
		if ok {
			into[string(key)] = salvaged{page: native.Uint64(head[:]), inline: e.value + bucketHeader}
		}
		return nil
	})
}

func (s *salvage) has(name []byte) bool {
	_, ok := s.buckets[string(name)]
	return ok
}

// inner are the buckets within one of the root.
func (s *salvage) inner(name []byte) (map[string]salvaged, error) {
	found := map[string]salvaged{}
	b, ok := s.buckets[string(name)]
	if !ok {
		return found, nil
	}
	return found, s.rootOf(b, found)
}

// salvagedElement is where an element of a leaf page says that its key and its
// value are.
type salvagedElement struct {
	flags              uint32
	key, value         int64
	keySize, valueSize uint32
}

// all calls fn with the elements of a bucket of the root. It can be called once
// for each.
func (s *salvage) all(name []byte, fn func(key, value []byte) error) error {
	b, ok := s.buckets[string(name)]
	if !ok {
		return nil
	}
	return s.allOf(b, fn)
}

func (s *salvage) allOf(b salvaged, fn func(key, value []byte) error) error {
	return s.each(b, func(e salvagedElement) error {
		if e.keySize == 0 || e.keySize > maxSalvagedKey || e.valueSize > maxSalvagedValue {
			return nil
		}
		key, keyOK := s.bytes(e.key, e.keySize)
		value, valueOK := s.bytes(e.value, e.valueSize)
		if !keyOK || !valueOK {
			return nil
		}
		return fn(key, value)
	})
}

func (s *salvage) each(b salvaged, fn func(e salvagedElement) error) error {
	if b.page == 0 {
		return s.page(b.inline, 0, fn)
	}
	return s.tree(b.page, 0, fn)
}

// tree reads a page that belongs to nothing else, and what is below it.
func (s *salvage) tree(id uint64, level int, fn func(e salvagedElement) error) error {
	if id < 2 || id >= s.meta.high || s.used[id] || level > maxLevels {
		return nil
	}
	s.used[id] = true
	at := int64(id) * int64(s.meta.pageSize)
	var head [pageHeader]byte
	if !s.readAt(head[:], at) || native.Uint64(head[:]) != id {
		return nil
	}
	return s.page(at, level, fn)
}

// page reads the elements of a page. How far it runs over does not matter: an
// element says itself where it ends.
func (s *salvage) page(at int64, level int, fn func(e salvagedElement) error) error {
	var head [pageHeader]byte
	if !s.readAt(head[:], at) {
		return nil
	}
	kind, count := native.Uint16(head[8:]), int64(native.Uint16(head[10:]))
	count = min(count, (s.end-at-pageHeader)/elementSize)
	elements, ok := s.bytes(at+pageHeader, uint32(count*elementSize))
	if !ok {
		return nil
	}
	for i := range count {
		e := elements[i*elementSize:]
		from := at + pageHeader + i*elementSize
		var err error
		switch kind {
		case kindBranch:
			err = s.tree(native.Uint64(e[8:]), level+1, fn)
		case kindLeaf:
			key := from + int64(native.Uint32(e[4:]))
			size := native.Uint32(e[8:])
			err = fn(salvagedElement{native.Uint32(e), key, key + int64(size), size, native.Uint32(e[12:])})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bytes reads what is within the pages.
func (s *salvage) bytes(at int64, size uint32) ([]byte, bool) {
	if at < 0 || int64(size) > s.end-at {
		return nil, false
	}
	b := make([]byte, size)
	return b, s.readAt(b, at)
}

func (s *salvage) readAt(b []byte, at int64) bool {
	if at < 0 || int64(len(b)) > s.end-at {
		return false
	}
	_, err := s.f.ReadAt(b, at)
	return err == nil
}
