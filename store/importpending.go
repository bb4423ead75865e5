package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// pendingImport is the store's entry of an import that is being merged.
type pendingImport struct {
	id            sidefile.ID
	policy        Policy
	total, merged uint64 // profiles in the side file
}

// readPending returns the store's entry, nil if there is none.
func readPending(tx *bolt.Tx) (*pendingImport, error) {
	v := tx.Bucket(format.Meta).Get(format.KeyImport)
	if v == nil {
		return nil, nil
	}
	payload, err := format.Unseal(format.TagMeta, format.KeyImport, v)
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
	return tx.Bucket(format.Meta).Put(format.KeyImport, format.Seal(format.TagMeta, format.KeyImport, b))
}

// isLost says whether an error means that an import cannot be finished.
func isLost(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) }

// dropPending gives up an import whose side file is lost: that of a store that was
// restored from a backup, for one.
func (s *Store) dropPending(why error) error {
	s.opts.Logger.Error("an import cannot be finished; import the bundle again", "error", why)
	err := s.writeAlone(context.Background(), (*writeTx).endImport)
	if err == nil {
		s.removeLeft(sidefile.Suffix, "an import")
	}
	return err
}

// keepOut has the merge of a pending import leave out an id that is deleted: it
// may go on days later, and what was forgotten must not come back. The merge
// then keeps whatever is put under the id.
func (w *writeTx) keepOut(idKey []byte) error {
	meta := w.Tx.Bucket(format.Meta)
	if meta.Get(format.KeyImport) == nil {
		return nil
	}
	return meta.Put(goneKey(idKey), []byte{})
}

func goneKey(idKey []byte) []byte { return append(bytes.Clone(format.KeyGone), idKey...) }

// endImport removes the entry of an import, and what belongs to it.
func (w *writeTx) endImport() error {
	meta := w.Tx.Bucket(format.Meta)
	c := meta.Cursor()
	for k, _ := c.Seek(format.KeyGone); bytes.HasPrefix(k, format.KeyGone); k, _ = c.Seek(format.KeyGone) {
		if err := meta.Delete(bytes.Clone(k)); err != nil {
			return err
		}
	}
	return meta.Delete(format.KeyImport)
}

// sidePath is where a store's side file is.
func (s *Store) sidePath() (string, error) {
	path, err := filepath.EvalSymlinks(s.path)
	return path + sidefile.Suffix, err
}

// createSide makes a new side file. The caller is the only import of the process
// that has locked the store.
func (s *Store) createSide() (*sidefile.File, error) {
	path, err := s.sidePath()
	if err != nil {
		return nil, err
	}
	f, err := createAnew(path)
	if err != nil {
		return nil, err
	}
	if was, err := os.Stat(s.path); err == nil {
		_ = keepOwner(f, was) // root may import into the store of a service, which may have to finish it
	}
	return sidefile.Create(f, path, s.keys, s.opts.NoSync)
}

// openSide opens the side file that belongs to an id.
func (s *Store) openSide(id sidefile.ID) (*sidefile.File, error) {
	path, err := s.sidePath()
	if err != nil {
		return nil, err
	}
	return sidefile.Open(path, id, s.keys, s.opts.NoSync)
}
