package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// The frames of a backup, in their order: header, sets, pairs of each bucket,
// files of banks, end. Pairs are as they are in the file, sealed: an encrypted
// store's are not decrypted for it, and one way serves both.

func (b *backingUp) write(t *txn, w io.Writer) (err error) {
	if b.out, err = bundle.NewWriter(w, backupFormat, nil); err != nil {
		return err
	}
	if err := b.writeAll(t); err != nil {
		b.out.Abort()
		return err
	}
	err = b.out.Close()
	b.now.digest = b.out.Sum()
	return err
}

func (b *backingUp) writeAll(t *txn) error {
	b.header.banks = b.now.files
	if err := b.out.Frame(backupFrameHeader, b.header.encode()); err != nil {
		return err
	}
	carried, err := b.writeSets(t)
	if err != nil {
		return err
	}
	if err := b.writePairs(t, carried); err != nil {
		return err
	}
	for _, f := range b.files {
		if err := b.writeBankFile(f); err != nil {
			return fmt.Errorf("file of bank %s: %w", f.bank.Short(), err)
		}
	}
	end := backupEnd{pairs: b.pairCount, files: uint64(b.report.Files), profiles: uint64(b.report.Profiles)}
	return b.out.Frame(backupFrameEnd, end.encode())
}

// writeSets finds the numbers that there are, and those of them that are to be
// in the backup: those that were written since the base.
func (b *backingUp) writeSets(t *txn) (carried *roaring.Bitmap, err error) {
	live := roaring.New()
	for id, n := range t.from([]byte{}) {
		if n == 0 || !live.CheckedAdd(n) {
			return nil, corrupt("profile %q: it has number %d, as another has", id, n)
		}
	}
	carried = live
	if b.since != nil {
		if carried, err = t.changedSince(b.since); err != nil {
			return nil, err
		}
		carried.And(live)
	}
	b.report.Profiles, b.report.Written = int64(live.GetCardinality()), int64(carried.GetCardinality())
	sets := format.AppendBytes(nil, encodeSet(live))
	return carried, b.out.Frame(backupFrameSets, format.AppendBytes(sets, encodeSet(carried)))
}

// writePairs writes those of every bucket. Banks and heads never change, so
// those that the base has are left out; values and names are few.
func (b *backingUp) writePairs(t *txn, carried *roaring.Bitmap) error {
	had := &base{banks: roaring.New(), heads: roaring.New()}
	if b.since != nil {
		had = b.since
	}
	b.now.banks, b.now.heads = had.banks.Clone(), had.heads.Clone()
	for _, c := range backedUp {
		t.reading = c.bucket
		pairs, chosen := t.Bucket(c.bucket).all(), func(k, v []byte) bool { return true }
		switch c.tag {
		case tagID:
			chosen = func(_, v []byte) bool { n, err := format.Number(v); return err != nil || carried.Contains(n) }
		case tagKey:
			if err := b.writeSlots(carried); err != nil {
				return err
			}
		case format.TagBank, format.TagHead:
			known := b.now.banks
			if c.tag == format.TagHead {
				known = b.now.heads
			}
			chosen = func(k, _ []byte) bool { ref, err := format.Number(k); return err != nil || known.CheckedAdd(ref) }
		case format.TagValue, format.TagName:
		default:
			pairs = ofNumbers(t.Bucket(c.bucket), carried)
		}
		for k, v := range pairs {
			if chosen(k, v) {
				if err := b.pair(c.tag, k, v); err != nil {
					return err
				}
			}
		}
		if err := b.flush(); err != nil {
			return err
		}
	}
	return nil
}

// ofNumbers lists the pairs whose keys begin with one of the numbers, or are too short to.
func ofNumbers(b readBucket, numbers *roaring.Bitmap) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		it := numbers.Iterator()
		if b.b == nil || !it.HasNext() {
			return
		}
		c := b.Cursor()
		for k, v := c.Seek(format.Key(it.PeekNext())); k != nil; {
			if len(k) < 4 || numbers.Contains(binary.BigEndian.Uint32(k)) {
				if !yield(k, v) {
					return
				}
				k, v = c.Next()
				continue
			}
			if it.AdvanceIfNeeded(binary.BigEndian.Uint32(k)); !it.HasNext() {
				return
			}
			k, v = c.Seek(format.Key(it.PeekNext()))
		}
	}
}

// writeSlots writes the keys of profiles, wrapped as they are in the file.
func (b *backingUp) writeSlots(carried *roaring.Bitmap) error {
	if b.keys == nil {
		return nil
	}
	defer clear(b.keys)
	for it := carried.Iterator(); it.HasNext(); {
		n := it.Next()
		if keyring.SlotAt(n)+keyring.SlotSize > int64(len(b.keys)) {
			return corrupt("profile %d has no key: the file of keys ends before it", n)
		}
		if err := b.pair(tagKey, format.Key(n), b.keys[keyring.SlotAt(n):][:keyring.SlotSize]); err != nil {
			return err
		}
	}
	return nil
}

// pair adds a valid pair to the frame to come, whose bucket is the same.
func (b *backingUp) pair(tag byte, k, v []byte) error {
	if _, err := (&txn{}).validPair(tag, b.keys != nil, k, v); err != nil {
		return err
	}
	if len(b.pairs) == 0 {
		b.pairs = append(b.pairs, tag)
	}
	b.pairs = format.AppendBytes(format.AppendBytes(b.pairs, k), v)
	b.pairCount++
	if len(b.pairs) < pairsSize {
		return nil
	}
	return b.flush()
}

func (b *backingUp) flush() error {
	if len(b.pairs) == 0 {
		return nil
	}
	err := b.out.Frame(backupFramePairs, b.pairs)
	b.pairs = b.pairs[:0]
	return err
}

func (b *backingUp) writeBankFile(f bankFile) (err error) {
	var r io.ReadCloser
	callersCode(func() { r, err = f.Open() })
	if err != nil {
		return err
	}
	defer r.Close()
	kind := byte(backupFrameBank)
	if f.Report {
		kind = backupFrameReport
	}
	b.report.Files++
	payload := binary.AppendUvarint(bytes.Clone(f.bank[:]), uint64(f.Size))
	err = b.out.File(kind, payload, callersReader{r}, f.Size)
	if errors.Is(err, io.EOF) {
		err = corrupt("the file is shorter than %d bytes", f.Size)
	}
	return err
}

// callersWriter and callersReader are a caller's within a transaction.
type callersWriter struct{ w io.Writer }

func (c callersWriter) Write(p []byte) (n int, err error) {
	callersCode(func() { n, err = c.w.Write(p) })
	return n, err
}

type callersReader struct{ r io.Reader }

func (c callersReader) Read(p []byte) (n int, err error) {
	callersCode(func() { n, err = c.r.Read(p) })
	return n, err
}

// ctxWriter fails once the context is done, and keeps its first error.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
	n   int64
	err error
}

func (c *ctxWriter) Write(p []byte) (n int, err error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, c.err = c.w.Write(p)
	c.n += int64(n)
	return n, c.err
}
