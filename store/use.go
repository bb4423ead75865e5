package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/bitmask"
)

// bankUse counts the profiles over a bank, and those that select each adapter.
type bankUse struct {
	n, blocks int
	profiles  uint32
	counts    []uint32 // [side][block][adapter], flat
}

// count adds by, +1 or -1, for every bit of a mask. The caller holds ix.lock.
func (ix *index) count(m maskRef, by int) {
	if m.mask == nil {
		return
	}
	if ix.use == nil {
		ix.use = map[uint32]*bankUse{}
	}
	u := ix.use[m.bank]
	if u == nil {
		u = newBankUse(m.mask.N, m.mask.Blocks)
		ix.use[m.bank] = u
	}
	u.count(m.mask, by)
}

func newBankUse(n, blocks int) *bankUse {
	return &bankUse{n: n, blocks: blocks, counts: make([]uint32, 2*blocks*n)}
}

func (u *bankUse) count(m *bitmask.Mask, by int) {
	u.profiles += uint32(by)
	var buf [256]int32
	for row := range 2 * u.blocks {
		at := u.counts[row*u.n : (row+1)*u.n]
		for _, i := range m.Indices(bitmask.Side(row/u.blocks), row%u.blocks, buf[:0]) {
			at[i] += uint32(by)
		}
	}
}

// table is the counts as UseCounts returns them.
func (u *bankUse) table() (t [2][][]uint32) {
	for row := range 2 * u.blocks {
		side := row / u.blocks
		t[side] = append(t[side], append([]uint32(nil), u.counts[row*u.n:(row+1)*u.n]...))
	}
	return t
}

// UseCounts counts for each side, block and adapter of a bank the profiles
// that select it, and all profiles over the bank. It is exact; it waits while
// the index is being rebuilt, and without an index reads every profile.
func (s *Store) UseCounts(ctx context.Context, bank uint32) (counts [2][][]uint32, profiles int, err error) {
	info, err := s.Bank(bank)
	if err != nil {
		return counts, 0, err
	}
	use := newBankUse(info.N, info.Blocks)
	ok, err := s.index.await(ctx)
	if err != nil {
		return counts, 0, err
	}
	if ok {
		s.index.lock.Lock()
		defer s.index.lock.Unlock()
		if u := s.index.use[bank]; u != nil {
			use = u
		}
		return use.table(), int(use.profiles), nil
	}
	for p, err := range s.Profiles("") {
		if err != nil {
			return counts, 0, err
		}
		if err := ctx.Err(); err != nil {
			return counts, 0, err
		}
		if p.Bank == bank {
			use.count(p.Mask, 1)
		}
	}
	return use.table(), int(use.profiles), nil
}

// writeUse stores the counts, so that Open need not count.
func (ix *index) writeUse(tx *bolt.Tx) error {
	for bank, u := range ix.use {
		b := binary.AppendUvarint(nil, uint64(u.n))
		b = binary.AppendUvarint(b, uint64(u.blocks))
		b = binary.AppendUvarint(b, uint64(u.profiles))
		for _, c := range u.counts {
			b = binary.AppendUvarint(b, uint64(c))
		}
		if err := tx.Bucket(bktIndex).Put(key32(bank), seal(tagIndex, key32(bank), b)); err != nil {
			return err
		}
	}
	return nil
}

// readUse loads what writeUse stored, for every bank.
func readUse(tx *bolt.Tx) (map[uint32]*bankUse, error) {
	use := map[uint32]*bankUse{}
	err := tx.Bucket(bktBanks).ForEach(func(k, _ []byte) error {
		v := tx.Bucket(bktIndex).Get(k)
		if v == nil {
			return nil
		}
		payload, err := unseal(tagIndex, k, v)
		if err == nil {
			use[binary.BigEndian.Uint32(k)], err = decodeUse(payload)
		}
		if err != nil {
			return fmt.Errorf("use of bank %x: %w", k, err)
		}
		return nil
	})
	return use, err
}

func decodeUse(payload []byte) (*bankUse, error) {
	d := decoder{b: payload}
	n := int(d.uint(bitmask.MaxAdapters, "N"))
	blocks := int(d.uint(bitmask.MaxBlocks, "L"))
	profiles := d.uint(math.MaxUint32, "profiles")
	if d.err == nil && 2*n*blocks > len(d.b) {
		d.fail("%d bytes of counts, want %d or more", len(d.b), 2*n*blocks)
	}
	if d.err != nil {
		return nil, d.err
	}
	u := newBankUse(n, blocks)
	u.profiles = uint32(profiles)
	for i := range u.counts {
		u.counts[i] = uint32(d.uint(math.MaxUint32, "count"))
	}
	return u, d.end()
}
