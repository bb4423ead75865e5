package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Examples returns the profile's stored examples, oldest first.
func (s *Store) Examples(id string) (examples []Example, err error) {
	err = s.view(func(t *txn) error {
		n, err := t.owned([]byte(id))
		if err != nil {
			return err
		}
		examples, err = t.examples(n)
		return err
	})
	return examples, err
}

func (t *txn) examples(n uint32) (examples []Example, err error) {
	prefix := key32(n)
	c := t.Bucket(bktExamples).Cursor()
	for k, v := c.Seek(prefix); hasPrefix(k, prefix); k, v = c.Next() {
		payload, err := t.payload(tagExample, n, k, v)
		if err != nil {
			return nil, fmt.Errorf("example %x: %w", k, err)
		}
		e, err := decodeExample(payload)
		if err != nil {
			return nil, fmt.Errorf("example %x: %w", k, err)
		}
		examples = append(examples, e)
	}
	return examples, nil
}

// AppendExamples adds examples to a profile's. Of those over
// Options.MaxExamples the oldest are dropped.
func (s *Store) AppendExamples(ctx context.Context, id string, examples []Example) error {
	if err := s.checkExamples(examples); err != nil {
		return err
	}
	return s.write(ctx, func(w *writeTx) error {
		n, err := w.owned([]byte(id))
		if err != nil {
			return err
		}
		return w.appendExamples(n, examples)
	})
}

func (s *Store) checkExamples(examples []Example) error {
	for i, e := range examples {
		if size := len(e.Text) + len(e.Pair) + len(e.Label); size > s.opts.MaxText {
			return fmt.Errorf("%w: example %d has %d bytes, at most %d", ErrLimit, i, size, s.opts.MaxText)
		}
	}
	return nil
}

func (w *writeTx) appendExamples(n uint32, examples []Example) error {
	if len(examples) == 0 {
		return nil
	}
	limit := w.s.opts.MaxExamples
	examples = examples[max(0, len(examples)-limit):]
	bucket := w.Bucket(bktExamples)
	first, end, err := exampleRange(&w.txn, n)
	if err != nil {
		return err
	}
	for ; end-first+uint64(len(examples)) > uint64(limit) && first < end; first++ {
		if err := bucket.remove(key32x64(n, first)); err != nil {
			return err
		}
		w.tally.examples--
	}
	for _, e := range examples {
		if err := w.putExample(n, end, e); err != nil {
			return err
		}
		end++
		w.tally.examples++
	}
	return nil
}

// putExample stores an example under a number and a sequence.
func (w *writeTx) putExample(n uint32, sequence uint64, e Example) error {
	key := key32x64(n, sequence)
	value, err := w.sealed(tagExample, n, key, appendExample(nil, e))
	if err != nil {
		return err
	}
	return w.Bucket(bktExamples).insert(key, value)
}

// exampleRange returns the sequence numbers of a profile's examples: from
// first up to, not including, end. They have no gaps.
func exampleRange(t *txn, n uint32) (first, end uint64, err error) {
	prefix := key32(n)
	c := t.Bucket(bktExamples).Cursor()
	k, _ := c.Seek(prefix)
	if !hasPrefix(k, prefix) {
		return 0, 0, nil
	}
	if first, err = exampleSequence(k); err != nil {
		return 0, 0, err
	}
	last, err := lastExample(c, prefix)
	if err == nil && (last < first || last-first >= maxExamples) {
		err = corrupt("examples %d to %d under the number %d", first, last, n) // a caller would count through them
	}
	return first, last + 1, err
}

// lastExample returns the last sequence number under a prefix that some have.
func lastExample(c *bolt.Cursor, prefix []byte) (uint64, error) {
	k, _ := c.Seek(binary.BigEndian.AppendUint64(bytes.Clone(prefix), 1<<64-1))
	if k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	if hasPrefix(k, prefix) {
		return exampleSequence(k)
	}
	// bbolt does not go backwards over a page that the transaction has emptied.
	var last []byte
	for k, _ := c.Seek(prefix); hasPrefix(k, prefix); k, _ = c.Next() {
		last = k
	}
	return exampleSequence(last)
}

func exampleSequence(key []byte) (uint64, error) {
	if len(key) != 12 {
		return 0, corrupt("example under a key of %d bytes, want 12", len(key))
	}
	return binary.BigEndian.Uint64(key[4:]), nil
}

func (w *writeTx) dropExamples(n uint32) error {
	count, err := w.Bucket(bktExamples).removePrefix(key32(n))
	w.tally.examples -= count
	return err
}

// appendExample appends an example's bytes: three strings after their
// lengths, and the time.
func appendExample(b []byte, e Example) []byte {
	b = appendBytes(b, e.Text)
	b = appendBytes(b, e.Pair)
	b = appendBytes(b, e.Label)
	return binary.AppendVarint(b, micros(e.Time))
}

func decodeExample(b []byte) (e Example, err error) {
	d := decoder{b: b}
	e.Text = string(d.bytes(maxText, "text"))
	e.Pair = string(d.bytes(maxText, "pair"))
	e.Label = string(d.bytes(maxText, "label"))
	e.Time = d.time(d.varint("time"), "time")
	if err := d.end(); err != nil {
		return Example{}, err
	}
	return e, nil
}
