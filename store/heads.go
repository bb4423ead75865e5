package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
)

// HeadInfo describes a shared head.
type HeadInfo struct {
	Ref    uint32
	Digest Digest // SHA-256 of the data
	Size   int
	Names  []string
}

// PutHead stores a shared head and returns its ref and the SHA-256 of its
// data, by which it is known. A head never changes.
func (s *Store) PutHead(ctx context.Context, data []byte) (ref uint32, d Digest, err error) {
	d = sha256.Sum256(data)
	if len(data) > MaxRecord {
		return 0, d, fmt.Errorf("%w: head of %d bytes, at most %d", ErrLimit, len(data), MaxRecord)
	}
	err = s.write(ctx, func(w *writeTx) (err error) {
		ref, err = w.register(format.TagHead, d, append(d[:len(d):len(d)], data...))
		return err
	})
	return ref, d, err
}

// Head returns a shared head's data by its ref.
func (s *Store) Head(ref uint32) ([]byte, error) {
	return viewed(s, func(t *txn) ([]byte, error) {
		p, err := t.ofRef(format.TagHead, ref)
		if err != nil {
			return nil, err
		}
		return append([]byte{}, p.headData()...), nil
	})
}

// SetHeadName gives a head a name, taking it from the head that had it.
func (s *Store) SetHeadName(ctx context.Context, name string, ref uint32) error {
	if err := format.CheckID(name, maxID); err != nil {
		return fmt.Errorf("head name: %w", err)
	}
	return s.write(ctx, func(w *writeTx) error {
		if _, err := w.ofRef(format.TagHead, ref); err != nil {
			return err
		}
		return w.Bucket(format.Names).put([]byte(name), format.Seal(format.TagName, []byte(name), format.Key(ref)))
	})
}

// HeadByName returns the ref of the head that has a name.
func (s *Store) HeadByName(name string) (uint32, error) {
	return viewed(s, func(t *txn) (uint32, error) {
		p, ok, err := t.stored(format.TagName, []byte(name))
		if !ok {
			err = fmt.Errorf("%w: head %q", ErrNotFound, name)
		}
		return p.n, err
	})
}

// Heads lists the shared heads in the order of their refs. With ErrCorrupt they
// are those that can be read, or none if a name cannot.
func (s *Store) Heads() (infos []HeadInfo, err error) {
	err = s.view(func(t *txn) error {
		heads, damaged := t.readable(format.TagHead)
		var found []HeadInfo
		for _, p := range heads {
			found = append(found, HeadInfo{Ref: p.n, Digest: p.digest, Size: len(p.headData())})
		}
		for name, v := range t.Bucket(format.Names).all() {
			p, err := t.validPair(format.TagName, false, name, v)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(found, func(i HeadInfo) bool { return i.Ref == p.n })
			if at >= 0 {
				found[at].Names = append(found[at].Names, string(name))
			}
		}
		infos = found
		return damaged
	})
	return infos, err
}
