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
		ref, err = w.register(kindBank, info.Digest, encodeBank(info))
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
	if d.Err != nil {
		return BankInfo{}, d.Err
	}
	return info, nil
}

// bank returns a bank by its ref.
func (t *txn) bank(ref uint32) (BankInfo, error) {
	p, ok, err := t.stored(format.TagBank, format.Key(ref))
	if !ok {
		err = fmt.Errorf("%w: bank %d", ErrNotFound, ref)
	}
	return p.bank, err
}

// Bank returns a bank by its ref.
func (s *Store) Bank(ref uint32) (BankInfo, error) {
	return viewed(s, func(t *txn) (BankInfo, error) { return t.bank(ref) })
}

// BankByDigest returns a bank by its digest.
func (s *Store) BankByDigest(d Digest) (BankInfo, error) {
	return viewed(s, func(t *txn) (BankInfo, error) {
		v := t.Bucket(format.Digests).Get(digestKey(kindBank, d))
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
		return t.eachRef(format.Banks, func(ref uint32) error {
			info, err := t.bank(ref)
			if err == nil {
				infos = append(infos, info)
			}
			return err
		})
	})
	return infos, err
}

// eachRef calls fn with each ref of banks or heads, and goes on after an error.
func (t *txn) eachRef(bucket []byte, fn func(ref uint32) error) error {
	var damaged []error
	err := t.Bucket(bucket).ForEach(func(k, _ []byte) error {
		ref, err := format.Number(k)
		if err == nil {
			err = fn(ref)
		}
		if err != nil {
			damaged = append(damaged, err)
		}
		return nil
	})
	return errors.Join(append(damaged, err)...)
}

// The two kinds in format.Digests.
const (
	kindBank = 'b'
	kindHead = 'h'
)

func digestKey(kind byte, d Digest) []byte { return append([]byte{kind}, d[:]...) }

// register returns the ref of a digest. One that is new gets the next ref and
// its value.
func (w *writeTx) register(kind byte, d Digest, payload []byte) (ref uint32, err error) {
	key := digestKey(kind, d)
	if v := w.Bucket(format.Digests).Get(key); v != nil {
		return format.Number(v)
	}
	next, values, tag := &w.tally.NextBank, format.Banks, byte(format.TagBank)
	if kind == kindHead {
		next, values, tag = &w.tally.NextHead, format.Heads, format.TagHead
	}
	if *next > math.MaxUint32 {
		return 0, fmt.Errorf("%w: no refs left", ErrLimit)
	}
	ref = uint32(*next)
	*next++
	value := format.Seal(tag, format.Key(ref), bytes.Clone(payload))
	return ref, errors.Join(w.Bucket(values).insert(format.Key(ref), value),
		w.Bucket(format.Digests).insert(key, format.Key(ref)))
}
