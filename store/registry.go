package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/bitmask"
)

// BankInfo describes a bank. Its adapters are elsewhere.
type BankInfo struct {
	Ref        uint32 // set by the store; 1, 2, …
	Digest     Digest
	N, Blocks  int
	Properties []byte // opaque, at most 1 MiB
}

// HeadInfo describes a shared head.
type HeadInfo struct {
	Ref    uint32
	Digest Digest // SHA-256 of the data
	Size   int
	Names  []string
}

const maxProperties = 1 << 20

// The two kinds in bktDigests.
const (
	kindBank = 'b'
	kindHead = 'h'
)

func digestKey(kind byte, d Digest) []byte { return append([]byte{kind}, d[:]...) }

// PutBank registers a bank and returns its ref. The same digest always gives
// the same ref.
func (s *Store) PutBank(ctx context.Context, info BankInfo) (ref uint32, err error) {
	if err := checkBank(info); err != nil {
		return 0, err
	}
	err = s.write(ctx, func(w *writeTx) (err error) {
		ref, _, err = w.register(kindBank, info.Digest, encodeBank(info), nil)
		return err
	})
	return ref, err
}

func checkBank(info BankInfo) error {
	if _, err := bitmask.New(info.N, 1, info.Blocks); err != nil {
		return fmt.Errorf("store: bank %s: %w", info.Digest.Short(), err)
	}
	if len(info.Properties) > maxProperties {
		return fmt.Errorf("%w: bank's properties of %d bytes, at most %d", ErrLimit, len(info.Properties), maxProperties)
	}
	return nil
}

// PutHead stores a shared head and returns its ref and the SHA-256 of its
// data, by which it is known. A head never changes.
func (s *Store) PutHead(ctx context.Context, data []byte) (ref uint32, d Digest, err error) {
	d = sha256.Sum256(data)
	if len(data) > MaxRecord {
		return 0, d, fmt.Errorf("%w: head of %d bytes, at most %d", ErrLimit, len(data), MaxRecord)
	}
	err = s.write(ctx, func(w *writeTx) (err error) {
		ref, _, err = w.register(kindHead, d, encodeHead(d, data), nil)
		return err
	})
	return ref, d, err
}

// register returns the ref of a digest. One that is new gets the next ref and
// its value; within an import's staging bucket if that is given.
func (w *writeTx) register(kind byte, d Digest, payload []byte, staging *bolt.Bucket) (ref uint32, added bool, err error) {
	key := digestKey(kind, d)
	if v := w.Bucket(bktDigests).Get(key); v != nil {
		ref, err = number(v)
		return ref, false, err
	}
	if staged := w.Bucket(bktStaging); staged != nil {
		if v := staged.Bucket(bktDigests).Get(key); v != nil {
			if ref, err = number(v); err == nil && staging == nil {
				err = w.promote(staged, bytes.Clone(key))
			}
			return ref, false, err
		}
	}
	next, values, tag := &w.tally.nextBank, bktBanks, byte(tagBank)
	if kind == kindHead {
		next, values, tag = &w.tally.nextHead, bktHeads, tagHead
	}
	if *next > math.MaxUint32 {
		return 0, false, fmt.Errorf("%w: no refs left", ErrLimit)
	}
	ref = uint32(*next)
	*next++
	root := w.Bucket
	if staging != nil {
		root = staging.Bucket
	}
	if err := root(values).Put(key32(ref), seal(tag, key32(ref), bytes.Clone(payload))); err != nil {
		return 0, false, err
	}
	return ref, true, root(bktDigests).Put(key, key32(ref))
}

// promote moves a bank or head from an import's staging bucket to where
// readers see it.
func (w *writeTx) promote(staging *bolt.Bucket, key []byte) error {
	values := bktBanks
	if key[0] == kindHead {
		values = bktHeads
	}
	ref := bytes.Clone(staging.Bucket(bktDigests).Get(key))
	value := bytes.Clone(staging.Bucket(values).Get(ref))
	if err := w.Bucket(values).Put(ref, value); err != nil {
		return err
	}
	if err := w.Bucket(bktDigests).Put(key, ref); err != nil {
		return err
	}
	return staging.Bucket(bktDigests).Delete(key)
}

func encodeBank(info BankInfo) []byte {
	b := append([]byte(nil), info.Digest[:]...)
	b = binary.AppendUvarint(b, uint64(info.N))
	b = binary.AppendUvarint(b, uint64(info.Blocks))
	return append(b, info.Properties...)
}

func decodeBank(payload []byte) (info BankInfo, err error) {
	d := decoder{b: payload}
	info.Digest = d.digest("digest")
	info.N = int(d.uint(bitmask.MaxAdapters, "N"))
	info.Blocks = int(d.uint(bitmask.MaxBlocks, "L"))
	if d.err == nil {
		info.Properties = append([]byte(nil), d.b...)
		d.err = checkBankCorrupt(info)
	}
	if d.err != nil {
		return BankInfo{}, d.err
	}
	return info, nil
}

func checkBankCorrupt(info BankInfo) error {
	if err := checkBank(info); err != nil {
		return corrupt("%w", err)
	}
	return nil
}

// bank returns a bank by its ref.
func (t *txn) bank(ref uint32) (BankInfo, error) {
	key := key32(ref)
	v := t.Bucket(bktBanks).Get(key)
	if v == nil {
		return BankInfo{}, fmt.Errorf("%w: bank %d", ErrNotFound, ref)
	}
	payload, err := unseal(tagBank, key, v)
	if err != nil {
		return BankInfo{}, fmt.Errorf("bank %d: %w", ref, err)
	}
	info, err := decodeBank(payload)
	if err != nil {
		return BankInfo{}, fmt.Errorf("bank %d: %w", ref, err)
	}
	info.Ref = ref
	return info, nil
}

// Bank returns a bank by its ref.
func (s *Store) Bank(ref uint32) (info BankInfo, err error) {
	err = s.view(func(t *txn) (err error) {
		info, err = t.bank(ref)
		return err
	})
	return info, err
}

// BankByDigest returns a bank by its digest.
func (s *Store) BankByDigest(d Digest) (info BankInfo, err error) {
	err = s.view(func(t *txn) error {
		v := t.Bucket(bktDigests).Get(digestKey(kindBank, d))
		if v == nil {
			return fmt.Errorf("%w: bank %s", ErrNotFound, d.Short())
		}
		ref, err := number(v)
		if err != nil {
			return err
		}
		info, err = t.bank(ref)
		return err
	})
	return info, err
}

// Banks lists the banks in the order of their refs.
func (s *Store) Banks() (infos []BankInfo, err error) {
	err = s.view(func(t *txn) error {
		return t.Bucket(bktBanks).ForEach(func(k, _ []byte) error {
			ref, err := number(k)
			if err != nil {
				return err
			}
			info, err := t.bank(ref)
			infos = append(infos, info)
			return err
		})
	})
	return infos, err
}

func encodeHead(d Digest, data []byte) []byte { return append(d[:len(d):len(d)], data...) }

// head returns a head's digest and a view of its data.
func (t *txn) head(ref uint32) (d Digest, data []byte, err error) {
	key := key32(ref)
	v := t.Bucket(bktHeads).Get(key)
	if v == nil {
		return d, nil, fmt.Errorf("%w: head %d", ErrNotFound, ref)
	}
	payload, err := unseal(tagHead, key, v)
	if err == nil && len(payload) < len(d) {
		err = corrupt("%d bytes", len(payload))
	}
	if err != nil {
		return d, nil, fmt.Errorf("head %d: %w", ref, err)
	}
	return Digest(payload[:len(d)]), payload[len(d):], nil
}

// Head returns a shared head's data by its ref.
func (s *Store) Head(ref uint32) (data []byte, err error) {
	err = s.view(func(t *txn) error {
		_, view, err := t.head(ref)
		data = append([]byte{}, view...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// SetHeadName gives a head a name, taking it from the head that had it.
func (s *Store) SetHeadName(ctx context.Context, name string, ref uint32) error {
	if err := checkID(name, maxID); err != nil {
		return fmt.Errorf("head name: %w", err)
	}
	return s.write(ctx, func(w *writeTx) error {
		if _, _, err := w.head(ref); err != nil {
			return err
		}
		return w.Bucket(bktNames).Put([]byte(name), seal(tagName, []byte(name), key32(ref)))
	})
}

// HeadByName returns the ref of the head that has a name.
func (s *Store) HeadByName(name string) (ref uint32, err error) {
	err = s.view(func(t *txn) error {
		v := t.Bucket(bktNames).Get([]byte(name))
		if v == nil {
			return fmt.Errorf("%w: head %q", ErrNotFound, name)
		}
		ref, err = nameRef([]byte(name), v)
		return err
	})
	return ref, err
}

func nameRef(name, value []byte) (uint32, error) {
	payload, err := unseal(tagName, name, value)
	if err != nil {
		return 0, fmt.Errorf("head name %q: %w", name, err)
	}
	return number(payload)
}

// Heads lists the shared heads in the order of their refs.
func (s *Store) Heads() (infos []HeadInfo, err error) {
	err = s.view(func(t *txn) error {
		err := t.Bucket(bktHeads).ForEach(func(k, _ []byte) error {
			ref, err := number(k)
			if err != nil {
				return err
			}
			d, data, err := t.head(ref)
			infos = append(infos, HeadInfo{Ref: ref, Digest: d, Size: len(data)})
			return err
		})
		if err != nil {
			return err
		}
		return t.Bucket(bktNames).ForEach(func(name, v []byte) error {
			ref, err := nameRef(name, v)
			at := slices.IndexFunc(infos, func(i HeadInfo) bool { return i.Ref == ref })
			if at >= 0 {
				infos[at].Names = append(infos[at].Names, string(name))
			}
			return err
		})
	})
	return infos, err
}
