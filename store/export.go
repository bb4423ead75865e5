package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// ExportOptions say what a bundle holds.
type ExportOptions struct {
	// IDs are the profiles; nil: all whose id starts with Prefix.
	IDs    []string
	Prefix string
	// Examples and State add those, which are not exported otherwise.
	Examples bool
	State    bool
	// BankFile gives the file of a bank and its size, to go into the bundle;
	// a nil reader leaves it out. Nil: no bank files.
	BankFile func(BankInfo) (io.ReadCloser, int64, error)
}

// Export writes a bundle of profiles and of the shared heads that they refer
// to, and returns the number of profiles. Profiles that are written meanwhile
// are in it as they were or as they are, each whole. With an error, what was
// written is no bundle and no Import takes it.
func (s *Store) Export(ctx context.Context, w io.Writer, o ExportOptions) (n int, err error) {
	b, err := newBundleWriter(&ctxWriter{ctx: ctx, w: w})
	if err != nil {
		return 0, fmt.Errorf("store: export: %w", err)
	}
	e := &exporter{s: s, o: o, b: b, banks: map[uint32]uint32{}, heads: map[uint32]uint32{}}
	if err := e.run(ctx); err != nil {
		b.z.Close() // frees its memory; the chunks stay without an end
		return 0, fmt.Errorf("store: export: %w", err)
	}
	if err := b.Close(); err != nil {
		return 0, fmt.Errorf("store: export: %w", err)
	}
	return int(e.counts.profiles), nil
}

type exporter struct {
	s            *Store
	o            ExportOptions
	b            *bundleWriter
	banks, heads map[uint32]uint32 // store's ref → bundle's
	counts       bundleCounts
}

// exported is what was read of one profile.
type exported struct {
	profile  *Profile
	bank     *BankInfo // if it is the first over it
	head     []byte    // its frame's payload, likewise
	state    []byte
	examples [][]byte
}

func (e *exporter) run(ctx context.Context) error {
	m := e.s.meta
	header := bundleHeader{m.Encoder, m.Tokenizer, m.MaxTokens, m.Model}
	if err := e.b.frame(frameHeader, header.encode()); err != nil {
		return err
	}
	ids := slices.Clone(e.o.IDs)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	from := []byte(e.o.Prefix)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var page []exported
		var err error
		if e.o.IDs != nil {
			page, ids, err = e.readIDs(ids)
		} else {
			page, from, err = e.readPage(from)
		}
		if err != nil {
			return err
		}
		for _, x := range page {
			if err := e.write(x); err != nil {
				return fmt.Errorf("profile %q: %w", x.profile.ID, err)
			}
		}
		if len(ids) == 0 && (e.o.IDs != nil || from == nil) {
			return e.b.frame(frameEnd, e.counts.encode())
		}
	}
}

// readIDs reads the first of ids, as many as fit a page, and returns the rest.
func (e *exporter) readIDs(ids []string) (page []exported, rest []string, err error) {
	err = e.s.view(func(t *txn) error {
		for size := 0; len(ids) > 0 && len(page) < pageProfiles && size < pageBytes; ids = ids[1:] {
			n, err := t.number([]byte(ids[0]))
			if err != nil {
				return err
			}
			x, bytes, err := e.read(t, []byte(ids[0]), n)
			if err != nil {
				return err
			}
			page, size = append(page, x), size+bytes
		}
		return nil
	})
	return page, ids, err
}

// readPage reads profiles from an id on, and returns where to go on, nil if
// nowhere.
func (e *exporter) readPage(from []byte) (page []exported, next []byte, err error) {
	err = e.s.view(func(t *txn) error {
		size := 0
		for id, n := range t.from(from) {
			if !hasPrefix(id, []byte(e.o.Prefix)) {
				return nil
			}
			if len(page) == pageProfiles || size >= pageBytes {
				next = bytes.Clone(id)
				return nil
			}
			x, bytes, err := e.read(t, id, n)
			if err != nil {
				return err
			}
			page, size = append(page, x), size+bytes
		}
		return nil
	})
	return page, next, err
}

// read copies a profile and what goes with it.
func (e *exporter) read(t *txn, id []byte, n uint32) (x exported, size int, err error) {
	if x.profile, err = t.numbered(id, n); err != nil {
		return x, 0, err
	}
	p := x.profile
	size = len(p.Mask.Bytes()) + len(p.OwnHead)
	if e.banks[p.Bank] == 0 {
		info, err := t.bank(p.Bank)
		if err != nil {
			return x, 0, err
		}
		x.bank = &info
		e.banks[p.Bank] = uint32(len(e.banks) + 1)
	}
	if p.Head != 0 && e.heads[p.Head] == 0 {
		digest, data, err := t.head(p.Head)
		if err != nil {
			return x, 0, err
		}
		e.heads[p.Head] = uint32(len(e.heads) + 1)
		x.head = binary.AppendUvarint(nil, uint64(e.heads[p.Head]))
		x.head = append(append(x.head, digest[:]...), data...)
	}
	if e.o.State {
		if x.state, err = t.state(n); err != nil {
			return x, 0, err
		}
	}
	if e.o.Examples {
		if x.examples, err = t.exampleBytes(n); err != nil {
			return x, 0, err
		}
	}
	for _, b := range append(x.examples, x.state, x.head) {
		size += len(b)
	}
	return x, size, nil
}

// exampleBytes copies the encoded examples of a number.
func (t *txn) exampleBytes(n uint32) (all [][]byte, err error) {
	prefix := key32(n)
	c := t.Bucket(bktExamples).Cursor()
	for k, v := c.Seek(prefix); hasPrefix(k, prefix); k, v = c.Next() {
		payload, err := unseal(tagExample, k, v)
		if err != nil {
			return nil, fmt.Errorf("example %x: %w", k, err)
		}
		all = append(all, bytes.Clone(payload))
	}
	return all, nil
}

func (e *exporter) write(x exported) error {
	p := x.profile
	if x.bank != nil {
		if err := e.writeBank(*x.bank); err != nil {
			return err
		}
	}
	if x.head != nil {
		if err := e.b.frame(frameHead, x.head); err != nil {
			return err
		}
	}
	p.Bank, p.Head = e.banks[p.Bank], e.heads[p.Head]
	record, err := EncodeProfile(p)
	if err != nil {
		return err
	}
	if err := e.b.frame(frameProfile, record); err != nil {
		return err
	}
	e.counts.profiles++
	if x.state != nil {
		e.counts.states++
		if err := e.b.frame(frameState, x.state); err != nil {
			return err
		}
	}
	for _, b := range x.examples {
		e.counts.examples++
		if err := e.b.frame(frameExample, b); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) writeBank(info BankInfo) error {
	b := binary.AppendUvarint(nil, uint64(e.banks[info.Ref]))
	if err := e.b.frame(frameBank, append(b, encodeBank(info)...)); err != nil {
		return err
	}
	if e.o.BankFile == nil {
		return nil
	}
	file, size, err := e.o.BankFile(info)
	if err != nil || file == nil {
		return err
	}
	defer file.Close()
	if err := e.b.frame(frameBankFile, binary.AppendUvarint(nil, uint64(size))); err != nil {
		return err
	}
	if _, err := io.CopyN(e.b.z, file, size); err != nil {
		return fmt.Errorf("file of bank %s: %w", info.Digest.Short(), err)
	}
	return nil
}
