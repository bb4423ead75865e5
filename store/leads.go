package store

import (
	"bytes"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/format"
)

// leads are the leaf pages that a transaction may write, by the root page of their bucket, in the
// order of their keys. What leads to each is as bbolt expects it: what it would make of a page
// whose first key is damaged, no reader might come back from (boltpages.Leaf).
type leads map[uint64][]ledLeaf

type ledLeaf struct {
	boltpages.Span
	beside bool // its neighbours too, with which bbolt may join it
}

// lead is ErrCorrupt if a key must not be written, or removed: all that is written goes by it.
// Pages are read as they were before the transaction, as bbolt itself reads them.
func (w *writeTx) lead(b *bolt.Bucket, key []byte, removed bool) error {
	root := uint64(b.Root())
	if root == 0 { // new, or so small that it has no page
		return nil
	}
	led := w.leads[root]
	at, found := slices.BinarySearchFunc(led, key, func(l ledLeaf, key []byte) int { return bytes.Compare(l.Low, key) })
	if !found {
		at--
	}
	known := at >= 0 && led[at].Has(key)
	if known && (led[at].beside || !removed) {
		return nil
	}
	f := w.s.db.Load()
	leaf, err := boltpages.Leaf(f.file, f.Info().PageSize, root, key, removed)
	if err != nil {
		return err
	}
	if known {
		led[at].beside = true
		return nil
	}
	if w.leads == nil {
		w.leads = leads{}
	}
	w.leads[root] = slices.Insert(led, at+1, ledLeaf{leaf, removed})
	return nil
}

// putIn stores a value in a bucket whose page may be written.
func (w *writeTx) putIn(b *bolt.Bucket, key, value []byte) error {
	if err := w.lead(b, key, false); err != nil {
		return err
	}
	return b.Put(key, value)
}

// deleteIn deletes a key of a bucket whose pages may be written.
func (w *writeTx) deleteIn(b *bolt.Bucket, key []byte) error {
	if err := w.lead(b, key, true); err != nil {
		return err
	}
	return b.Delete(key)
}

// leadMeta is lead for the keys of format.Meta that a transaction may write, or remove.
func (w *writeTx) leadMeta() error {
	for _, key := range [][]byte{format.KeyStore, format.KeyTally, format.KeySums, format.KeyNotes, format.KeyCohorts,
		format.KeyImport, format.KeyGone} {
		if err := w.lead(w.Tx.Bucket(format.Meta), key, true); err != nil {
			return err
		}
	}
	return nil
}
