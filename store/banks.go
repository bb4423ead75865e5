package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

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

// bank returns a bank by its ref.
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
