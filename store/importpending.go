package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// pendingImport is the store's entry of an import that is being merged.
type pendingImport struct {
	id            importID
	policy        Policy
	total, merged uint64 // profiles in the side file
}

// readPending returns the store's entry, nil if there is none.
func readPending(tx *bolt.Tx) (*pendingImport, error) {
	v := tx.Bucket(bktMeta).Get(keyImport)
	if v == nil {
		return nil, nil
	}
	payload, err := format.Unseal(tagMeta, keyImport, v)
	if err != nil {
		return nil, corrupt("import: %w", err)
	}
	d, p := format.Decoder{B: payload}, &pendingImport{}
	copy(p.id[:], d.Take(uint64(len(p.id)), "import's id"))
	p.policy = Policy(d.Uint(uint64(Rename), "policy"))
	p.total = d.Uvarint("profiles")
	p.merged = d.Uint(p.total, "merged profiles")
	return p, d.End()
}

// unfinished returns the entry as it is now.
func (s *Store) unfinished() (*pendingImport, error) {
	return viewed(s, func(t *txn) (*pendingImport, error) { return readPending(t.Tx) })
}

func (p *pendingImport) write(tx *bolt.Tx) error {
	b := format.AppendUvarints(bytes.Clone(p.id[:]), uint64(p.policy), p.total, p.merged)
	return tx.Bucket(bktMeta).Put(keyImport, format.Seal(tagMeta, keyImport, b))
}

// isLost says whether an error means that an import cannot be finished.
func isLost(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) }

// dropPending gives up an import whose side file is lost: that of a store that was
// restored from a backup, for one.
func (s *Store) dropPending(why error) error {
	s.opts.Logger.Error("an import cannot be finished; import the bundle again", "error", why)
	err := s.writeAlone(context.Background(), (*writeTx).endImport)
	if err == nil {
		s.removeLeft(sideSuffix, "an import")
	}
	return err
}

// keepOut has the merge of a pending import leave out an id that is deleted: it
// may go on days later, and what was forgotten must not come back. The merge
// then keeps whatever is put under the id.
func (w *writeTx) keepOut(idKey []byte) error {
	meta := w.Tx.Bucket(bktMeta)
	if meta.Get(keyImport) == nil {
		return nil
	}
	return meta.Put(goneKey(idKey), []byte{})
}

func goneKey(idKey []byte) []byte { return append(bytes.Clone(keyGone), idKey...) }

// endImport removes the entry of an import, and what belongs to it.
func (w *writeTx) endImport() error {
	meta := w.Tx.Bucket(bktMeta)
	c := meta.Cursor()
	for k, _ := c.Seek(keyGone); bytes.HasPrefix(k, keyGone); k, _ = c.Seek(keyGone) {
		if err := meta.Delete(bytes.Clone(k)); err != nil {
			return err
		}
	}
	return meta.Delete(keyImport)
}
