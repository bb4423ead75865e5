package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"syscall"
)

// How a verified bundle becomes visible: in batches, each in one transaction,
// with the number of profiles merged so far. That entry is the commit: a side file
// without it is removed, with it the merge goes on where it was. An import of one batch
// needs no entry.

// A batch is what one transaction of a merge writes at most, but for its last
// profile: other writers wait for so long.
const (
	batchProfiles = 5000
	batchBytes    = 4 << 20
)

// merger moves what is in a side file into the store.
type merger struct {
	s      *Store
	side   *sideFile
	now    pendingImport
	report ImportReport
	banks  []uint32 // by the side file's ref
	heads  []uint32
	begun  bool        // something is in the store
	lost   bool        // the side file cannot be read
	unsure bool        // whether the first batch is on the disk
	items  []mergeItem // of the batch before, whose memory is used again
	skip   uint64      // profiles that are merged already, still to be read
	held   bool        // kind and payload are the next frame
	kind   byte
	frame  []byte
	free   gap   // of the store's ids
	gone   bool  // some ids were deleted since the merge began
	left   error // of the first profile that another writer's kept out
}

func newMerger(s *Store, side *sideFile, now pendingImport) *merger {
	return &merger{s: s, side: side, now: now, skip: now.merged, banks: []uint32{0}, heads: []uint32{0}}
}

// finish merges all that is left, and closes or removes the side file.
func (m *merger) finish() (ImportReport, error) {
	err := m.mergeAll()
	if err == nil || !m.begun && m.undone() {
		if rerr := m.side.remove(); rerr != nil {
			m.s.opts.Logger.Error("cannot remove an import's side file", "error", rerr)
		}
		if err != nil {
			return ImportReport{}, err
		}
		return m.report, m.left
	}
	m.side.f.Close()
	if m.lost {
		err = errors.Join(err, m.s.dropPending(err))
	}
	return m.report, fmt.Errorf("%d of %d profiles are merged, the rest waits for the next import or opening: %w", m.now.merged, m.now.total, err)
}

// undone says whether nothing was merged, nor can be found merged after a crash.
func (m *merger) undone() bool {
	if m.unsure {
		return false
	}
	left := &pendingImport{}
	verr := m.s.view(func(t *txn) (err error) {
		left, err = readPending(t.Tx)
		return err
	})
	return left == nil && verr == nil || errors.Is(verr, ErrClosed)
}

func (m *merger) mergeAll() error {
	for {
		b, err := m.readBatch()
		if err != nil {
			m.lost = isLost(err)
			return err
		}
		if !b.last && !m.begun {
			if err := m.side.sync(); err != nil {
				return err
			}
		}
		before := m.report
		before.Renamed = maps.Clone(m.report.Renamed)
		next := m.now
		next.merged += b.profiles
		err = m.s.writeAlone(context.Background(), func(w *writeTx) error {
			if err := m.merge(w, b); err != nil {
				return err
			}
			if b.last {
				return w.endImport()
			}
			return next.write(w.Tx)
		})
		if err != nil {
			errno := syscall.Errno(0)
			m.unsure = errors.As(err, &errno) && !isFull(err)
			m.report = before
			return err
		}
		m.now, m.begun = next, true
		if m.report.Merged += int(b.profiles); b.last {
			return nil
		}
	}
}

// mergeBatch is what one transaction writes, in the side file's order.
type mergeBatch struct {
	items    []mergeItem
	profiles uint64
	bytes    int
	last     bool
}

// mergeItem is a bank, a head, or a profile with what belongs to it.
type mergeItem struct {
	kind  byte
	data  []byte // a profile's record
	state []byte
	shelf *shelf // nil: nothing is known of the person
}

func (m *merger) next() (err error) {
	if !m.held {
		m.kind, m.frame, err = m.side.next()
	}
	m.held = false
	return err
}

// readBatch reads up to the profile that would be too much.
func (m *merger) readBatch() (b mergeBatch, err error) {
	b.items = m.items[:0]
	defer func() { m.items = b.items }()
	for {
		if err := m.next(); err != nil {
			return b, err
		}
		switch m.kind {
		case frameBank, frameHead, frameProfile:
			if b.profiles >= uint64(m.s.batch) || b.bytes >= batchBytes {
				m.held = true
				return b, nil
			}
		}
		switch m.kind {
		case frameEnd:
			b.last = true
			return b, nil
		case frameProfile:
			if m.skip > 0 {
				m.skip--
				if err := m.skipProfile(); err != nil {
					return b, err
				}
				continue
			}
			b.profiles++
			fallthrough
		case frameBank, frameHead:
			b.items = append(b.items, mergeItem{kind: m.kind, data: m.frame})
			b.bytes += len(m.frame)
		default:
			if len(b.items) == 0 {
				return b, corrupt("frame %d at the beginning", m.kind)
			}
			b.bytes += len(m.frame)
			if err := b.items[len(b.items)-1].add(m.kind, m.frame, &m.s.opts); err != nil {
				return b, corrupt("%w", err)
			}
		}
	}
}

// skipProfile reads what belongs to a profile that is merged already.
func (m *merger) skipProfile() error {
	for {
		if err := m.next(); err != nil {
			return err
		}
		switch m.kind {
		case frameState, framePerson, frameExample:
		default:
			m.held = true
			return nil
		}
	}
}

// add adds a frame that belongs to a profile.
func (it *mergeItem) add(kind byte, payload []byte, o *Options) (err error) {
	if it.shelf == nil && kind != frameState {
		it.shelf = &shelf{opts: o}
	}
	switch kind {
	case frameState:
		it.state = payload
	case framePerson:
		it.shelf.person, err = decodePerson(payload)
	case frameExample:
		var e kept
		if e, err = decodeExample(payload); err != nil {
			return err
		}
		it.shelf.take(e.Example)
		if limit := o.MaxExamples; len(it.shelf.examples) > 2*limit {
			it.shelf.trim(limit)
		}
	default:
		err = corrupt("unknown frame %d", kind)
	}
	return err
}

// merge writes a batch.
func (m *merger) merge(w *writeTx, b mergeBatch) error {
	m.free = gap{} // others have written since
	gone, _ := w.Tx.Bucket(bktMeta).Cursor().Seek(keyGone)
	m.gone = hasPrefix(gone, keyGone)
	for i := range b.items {
		it := &b.items[i]
		var err error
		switch it.kind {
		case frameBank:
			err = m.bank(w, it.data)
		case frameHead:
			err = m.head(w, it.data)
		default:
			err = m.profile(w, it)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) bank(w *writeTx, payload []byte) error {
	info, err := decodeBank(payload)
	if err != nil {
		return err
	}
	before := w.tally.nextBank
	ref, err := w.register(kindBank, info.Digest, payload)
	m.banks = append(m.banks, ref)
	m.report.Banks += int(w.tally.nextBank - before)
	return err
}

func (m *merger) head(w *writeTx, payload []byte) error {
	if len(payload) < len(Digest{}) {
		return corrupt("head of %d bytes", len(payload))
	}
	before := w.tally.nextHead
	ref, err := w.register(kindHead, Digest(payload[:len(Digest{})]), payload)
	m.heads = append(m.heads, ref)
	m.report.Heads += int(w.tally.nextHead - before)
	return err
}

// profile writes one profile, under a new number.
func (m *merger) profile(w *writeTx, it *mergeItem) error {
	refs, err := readRefs(it.data)
	if err != nil {
		return err
	}
	record, err := m.withRefs(it.data, refs)
	if err != nil {
		return err
	}
	key := w.idKey(refs.id)
	if m.gone && w.Tx.Bucket(bktMeta).Get(goneKey(key)) != nil {
		m.report.Skipped++
		return nil
	}
	if !m.free.has(key) && m.free.seek(w.ids, key) != nil {
		if record, key, err = m.resolve(w, record, key); record == nil || err != nil {
			return err
		}
	}
	n, err := w.newNumber()
	if err != nil {
		return err
	}
	size, err := w.putValue(n, record, true)
	if err != nil {
		return err
	}
	w.tally.profiles++
	w.tally.recordBytes += uint64(size)
	w.changed++
	m.report.Profiles++
	p, err := outline(record)
	if err != nil {
		return err
	}
	w.tally.maskBytes += uint64(p.MaskBytes())
	return errors.Join(w.regroup(n, nil, p), w.putID(key, key32(n)), m.beside(w, n, it))
}

// withRefs returns a record of the side file with the store's refs.
func (m *merger) withRefs(record []byte, refs recordRefs) ([]byte, error) {
	banks := make([]uint32, len(refs.banks))
	for i, ref := range refs.banks {
		if int64(ref) >= int64(len(m.banks)) {
			return nil, corrupt("profile %q of the side file is over bank %d", refs.id, ref)
		}
		banks[i] = m.banks[ref]
	}
	if int64(refs.head) >= int64(len(m.heads)) {
		return nil, corrupt("profile %q of the side file has head %d", refs.id, refs.head)
	}
	return refs.replaced(record, banks, m.heads[refs.head]), nil
}

func (m *merger) beside(w *writeTx, n uint32, it *mergeItem) error {
	if it.state != nil {
		if err := w.putState(n, it.state); err != nil {
			return err
		}
	}
	if it.shelf == nil || len(it.shelf.examples) == 0 && it.shelf.person.plain() {
		return nil
	}
	before := w.tally.examples
	err := w.putShelf(n, it.shelf)
	m.report.Examples += int(w.tally.examples - before)
	return err
}
