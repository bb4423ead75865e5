package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store/internal/format"
)

// BankInfo describes a bank. Its adapters are elsewhere.
type BankInfo struct {
	Ref        uint32 // set by the store; 1, 2, …
	Digest     Digest
	N, Blocks  int
	Properties []byte // opaque, at most 1 MiB
}

const maxProperties = 1 << 20

// PutBank registers a bank and returns its ref. The same digest always gives
// the same ref.
func (s *Store) PutBank(ctx context.Context, info BankInfo) (ref uint32, err error) {
	if err := checkBank(info); err != nil {
		return 0, err
	}
	err = s.write(ctx, func(w *writeTx) (err error) {
		ref, err = w.register(format.TagBank, info.Digest, encodeBank(info))
		return err
	})
	return ref, err
}

func checkBank(info BankInfo) error {
	if _, err := bitmask.New(info.N, 1, info.Blocks); err != nil {
		return fmt.Errorf("store: bank %s: %w", info.Digest.Short(), err)
	}
	if len(info.Properties) > maxProperties {
		return fmt.Errorf("%w: bank's properties of %d bytes, at most %d", ErrLimit, len(info.Properties),
			maxProperties)
	}
	return nil
}

func encodeBank(info BankInfo) []byte {
	b := append([]byte(nil), info.Digest[:]...)
	return append(format.AppendUvarints(b, info.N, info.Blocks), info.Properties...)
}

func decodeBank(payload []byte) (info BankInfo, err error) {
	d := format.Decoder{B: payload}
	info.Digest = d.Digest("digest")
	info.N = int(d.Uint(bitmask.MaxAdapters, "N"))
	info.Blocks = int(d.Uint(bitmask.MaxBlocks, "L"))
	info.Properties = append([]byte(nil), d.B...)
	if err := checkBank(info); err != nil {
		d.Fail("%w", err)
	}
	return info, d.Err
}

func (t *txn) bank(ref uint32) (BankInfo, error) {
	p, err := t.ofRef(format.TagBank, ref)
	return p.bank, err
}

// Bank returns a bank by its ref.
func (s *Store) Bank(ref uint32) (BankInfo, error) {
	return viewed(s, func(t *txn) (BankInfo, error) { return t.bank(ref) })
}

// BankByDigest returns a bank by its digest.
func (s *Store) BankByDigest(d Digest) (BankInfo, error) {
	return viewed(s, func(t *txn) (BankInfo, error) {
		v := t.Bucket(format.Digests).Get(digestKey(format.TagBank, d))
		if v == nil {
			return BankInfo{}, fmt.Errorf("%w: bank %s", ErrNotFound, d.Short())
		}
		ref, err := format.Number(v)
		if err != nil {
			return BankInfo{}, err
		}
		return t.bank(ref)
	})
}

// Banks lists the banks in the order of their refs. With ErrCorrupt they are
// those that can be read.
func (s *Store) Banks() (infos []BankInfo, err error) {
	err = s.view(func(t *txn) error {
		banks, err := t.readable(format.TagBank)
		infos = nil
		for _, p := range banks {
			infos = append(infos, p.bank)
		}
		return err
	})
	return infos, err
}

// readable reads the pairs of a bucket; err is of those that cannot be read.
func (t *txn) readable(tag byte) (pairs []pair, err error) {
	for k, v := range t.Bucket(bucketOf(tag).bucket).all() {
		p, bad := t.validPair(tag, false, k, v)
		if err = errors.Join(err, bad); bad == nil {
			pairs = append(pairs, p)
		}
	}
	return pairs, err
}

// digestKey is a bank's or head's in format.Digests: its tag there is a small letter.
func digestKey(tag byte, d Digest) []byte { return append([]byte{tag | 0x20}, d[:]...) }

// nextRef is what a tally says of banks or heads.
func nextRef(t *format.Tally, tag byte) *uint64 {
	if tag == format.TagHead {
		return &t.NextHead
	}
	return &t.NextBank
}

// register returns the ref of a digest. One that is new gets the next ref and
// its value.
func (w *writeTx) register(tag byte, d Digest, payload []byte) (ref uint32, err error) {
	key, next := digestKey(tag, d), nextRef(&w.tally, tag)
	if v := w.Bucket(format.Digests).Get(key); v != nil {
		return format.Number(v)
	}
	if *next > math.MaxUint32 {
		return 0, fmt.Errorf("%w: no refs left", ErrLimit)
	}
	ref = uint32(*next)
	*next++
	value := format.Seal(tag, format.Key(ref), bytes.Clone(payload))
	return ref, errors.Join(w.Bucket(bucketOf(tag).bucket).insert(format.Key(ref), value),
		w.Bucket(format.Digests).insert(key, format.Key(ref)))
}

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
