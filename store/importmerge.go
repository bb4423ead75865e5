package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"syscall"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/sidefile"
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
	side   *sidefile.File
	now    pendingImport
	report ImportReport
	banks  []uint32 // by the side file's ref
	heads  []uint32
	begun  bool   // something is in the store
	lost   bool   // the side file cannot be read
	unsure bool   // whether the first batch is on the disk
	skip   uint64 // profiles that are merged already, still to be read
	free   gap    // of the store's ids
	gone   bool   // some ids were deleted since the merge began
	left   error  // of the first profile that another writer's kept out

	two     [2]Profile // whose memory is used again
	before  *Profile   // of the two, that was merged last, and its cohorts
	cohorts []string
}

func newMerger(s *Store, side *sidefile.File, now pendingImport) *merger {
	return &merger{s: s, side: side, now: now, skip: now.merged, banks: []uint32{0}, heads: []uint32{0}}
}

// finish merges all that is left, and closes or removes the side file.
func (m *merger) finish() (ImportReport, error) {
	err := m.mergeAll()
	if err == nil || !m.begun && m.undone() {
		if rerr := m.side.Remove(); rerr != nil {
			m.s.opts.Logger.Error("cannot remove an import's side file", "error", rerr)
		}
		if err != nil {
			return ImportReport{}, err
		}
		return m.report, m.left
	}
	m.side.Close()
	if m.lost {
		err = errors.Join(err, m.s.dropPending(err))
	}
	return m.report, fmt.Errorf("%d of %d profiles are merged, the rest waits for the next import or opening: %w",
		m.now.merged, m.now.total, err)
}

// undone says whether nothing was merged, nor can be found merged after a crash.
func (m *merger) undone() bool {
	left, err := m.s.unfinished()
	return !m.unsure && (left == nil && err == nil || errors.Is(err, ErrClosed))
}

func (m *merger) mergeAll() error {
	for last := false; !last; {
		before, now := m.report, m.now
		before.Renamed = maps.Clone(m.report.Renamed)
		err := m.s.writeAlone(context.Background(), func(w *writeTx) (err error) {
			last, err = m.merge(w)
			return err
		})
		if err != nil {
			errno := syscall.Errno(0)
			m.unsure = errors.As(err, &errno) && !isFull(err)
			m.report, m.now = before, now
			return err
		}
		m.begun = true
		m.report.Merged += int(m.now.merged - now.merged)
	}
	return nil
}

// merge writes a batch, up to the profile that would be too much, and says whether it was the
// last. A transaction that is alone runs once.
func (m *merger) merge(w *writeTx) (last bool, err error) {
	m.free = gap{} // others have written since
	gone, _ := w.Tx.Bucket(format.Meta).Cursor().Seek(format.KeyGone)
	m.gone = bytes.HasPrefix(gone, format.KeyGone)
	for profiles, size := 0, 0; ; {
		kind, err := m.side.Peek()
		if err == nil && kind != frameEnd && (profiles >= m.s.batch || size >= batchBytes) {
			return false, m.keepPlace(w)
		}
		var it mergeItem
		if err == nil {
			it, err = m.readItem()
		}
		if err != nil {
			m.lost = isLost(err)
			return false, err
		}
		switch {
		case kind == frameEnd:
			return true, w.endImport()
		case kind == frameProfile && m.skip > 0:
			m.skip--
			continue
		case kind == frameProfile:
			profiles++
			m.now.merged++
			err = m.profile(w, &it)
		case kind == frameBank:
			err = m.register(w, format.TagBank, it.data, &m.banks, &m.report.Banks)
		case kind == frameHead:
			err = m.register(w, format.TagHead, it.data, &m.heads, &m.report.Heads)
		default:
			m.lost = true
			err = corrupt("unexpected frame %d in the side file", kind)
		}
		if err != nil {
			return false, err
		}
		size += it.size
	}
}

// keepPlace writes the entry that a later transaction goes on from. The side file must be
// durable before the first one.
func (m *merger) keepPlace(w *writeTx) error {
	if !m.begun {
		if err := m.side.Sync(); err != nil {
			return err
		}
	}
	return m.now.write(w.Tx)
}

// register writes a bank or head, whose payload begins with its digest, and adds
// the store's ref.
func (m *merger) register(w *writeTx, tag byte, payload []byte, refs *[]uint32, isNew *int) error {
	if len(payload) < len(Digest{}) {
		return corrupt("bank or head of %d bytes", len(payload))
	}
	next := nextRef(&w.tally, tag)
	before := *next
	ref, err := w.register(tag, Digest(payload[:len(Digest{})]), payload)
	*refs = append(*refs, ref)
	*isNew += int(*next - before)
	return err
}

func (m *merger) profile(w *writeTx, it *mergeItem) error {
	p := &m.two[0]
	if p == m.before {
		p = &m.two[1]
	}
	refs, err := format.DecodeRecord(p.record(), it.data, format.MaskShape)
	if err != nil {
		return err
	}
	record, err := m.withRefs(p, refs, it.data)
	if err != nil {
		return err
	}
	key := w.idKey([]byte(p.ID))
	if m.gone && w.Tx.Bucket(format.Meta).Get(goneKey(key)) != nil {
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
	w.tally.Profiles++
	w.tally.RecordBytes += uint64(size)
	w.tally.MaskBytes += uint64(p.MaskBytes())
	w.changed++
	m.report.Profiles++
	return errors.Join(m.join(w, n, p), w.putID(key, format.Key(n)), m.beside(w, n, it))
}

// join puts a new number into its cohorts, most often those of the one before.
func (m *merger) join(w *writeTx, n uint32, p *Profile) error {
	if w.keys != nil {
		return nil
	}
	if m.before == nil || !sameCohorts(m.before, p) {
		m.cohorts, _ = w.s.rules.of(&w.txn, p) // Check says that its head is damaged
	}
	m.before = p
	return w.change(m.cohorts, nil, n, (*roaring.Bitmap).Add)
}

// withRefs gives p the store's refs for those of the side file, and returns its
// record with them.
func (m *merger) withRefs(p *Profile, refs format.Refs, record []byte) ([]byte, error) {
	replace := func(ref *uint32, by []uint32) (err error) {
		if int64(*ref) >= int64(len(by)) {
			return corrupt("profile %q of the side file has bank or head %d of %d", p.ID, *ref, len(by)-1)
		}
		*ref = by[*ref]
		return nil
	}
	err := errors.Join(replace(&p.Bank, m.banks), replace(&p.Head, m.heads))
	for i := range p.Codes {
		err = errors.Join(err, replace(&p.Codes[i].Bank, m.banks))
	}
	if err != nil {
		return nil, err
	}
	return refs.Replaced(record, p.banks(), p.Head), nil
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
	before := w.tally.Examples
	err := w.putShelf(n, it.shelf)
	m.report.Examples += int(w.tally.Examples - before)
	return err
}
