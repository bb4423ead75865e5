package store

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/bitmask"
)

// checkIndex compares every set of the index with the masks, those of 65,536
// numbers at a time.
func (c *checker) checkIndex() error {
	tally, err := readTally(c.t.Tx)
	if err != nil {
		return nil // said already
	}
	m, err := readMark(c.t.Tx)
	if err != nil {
		c.problem("%v", err)
		return nil
	}
	if c.report.Indexed = m.commits == tally.commits; !c.report.Indexed {
		return nil
	}
	use, sets := map[uint32]*bankUse{}, 0
	for high := uint64(0); high<<16 < tally.nextNumber; high++ {
		for bank, masks := range c.masksOf(uint16(high), use) {
			n, err := c.checkSets(bank, uint16(high), masks)
			if err != nil {
				return err
			}
			sets += n
		}
	}
	if err := c.countSets(sets); err != nil {
		return err
	}
	return c.checkUse(use)
}

// lowMask is a mask and the lower half of its number.
type lowMask struct {
	low  uint16
	mask *bitmask.Mask
}

// masksOf returns, by bank, the masks of the numbers with an upper half, and
// counts them in use.
func (c *checker) masksOf(high uint16, use map[uint32]*bankUse) map[uint32][]lowMask {
	masks := map[uint32][]lowMask{}
	first := key32(uint32(high) << 16)
	cur := c.t.profiles.Cursor()
	for k, _ := cur.Seek(first); len(k) == 4 && hasPrefix(k, first[:2]); k, _ = cur.Next() {
		p, err := c.t.decode(binary.BigEndian.Uint32(k))
		if err != nil || !bytes.Equal(c.t.ids.Get(c.t.idKey([]byte(p.ID))), k) || !fits(p.Mask, c.banks[p.Bank]) {
			continue // said already, or not visible
		}
		masks[p.Bank] = append(masks[p.Bank], lowMask{binary.BigEndian.Uint16(k[2:]), p.Mask})
		if use[p.Bank] == nil {
			use[p.Bank] = newBankUse(p.Mask.N, p.Mask.Blocks)
		}
		use[p.Bank].count(p.Mask, 1)
	}
	return masks
}

// adaptersAtOnce bounds the sets that checkSets holds, at 8 KiB each.
const adaptersAtOnce = 1024

// denseWords is the length of a set of 65,536 numbers as bits.
const denseWords = 1 << 16 / 64

// checkSets compares the sets of a bank and an upper half with the masks, and
// returns how many of them there should be.
func (c *checker) checkSets(bank uint32, high uint16, masks []lowMask) (sets int, err error) {
	n, blocks := c.banks[bank].N, c.banks[bank].Blocks
	want := make([]uint64, min(n, adaptersAtOnce)*denseWords)
	var buf []int32
	for row := range 2 * blocks {
		side, block := bitmask.Side(row/blocks), row%blocks
		for from := 0; from < n; from += adaptersAtOnce {
			if err := c.ctx.Err(); err != nil {
				return 0, err
			}
			to := min(n, from+adaptersAtOnce)
			clear(want)
			for _, m := range masks {
				buf = m.mask.Indices(side, block, buf[:0])
				for _, i := range buf {
					if int(i) >= from && int(i) < to {
						want[(int(i)-from)*denseWords+int(m.low>>6)] |= 1 << (m.low & 63)
					}
				}
			}
			for i := from; i < to; i++ {
				dense := want[(i-from)*denseWords : (i-from+1)*denseWords]
				sets += c.checkSet(setKey(bank, side, block, i, high), roaring.FromDense(dense, false))
			}
		}
	}
	return sets, nil
}

// checkSet returns 1 if there should be a set, 0 if it would be empty.
func (c *checker) checkSet(key []byte, want *roaring.Bitmap) int {
	got, err := readSet(key, c.t.Bucket(bktIndex).Get(key))
	switch {
	case err != nil:
		c.problem("%v", err)
	case !got.Equals(want):
		c.problem("index set %x: %d profiles are missing, %d should not be there",
			key, roaring.AndNot(want, got).GetCardinality(), roaring.AndNot(got, want).GetCardinality())
	}
	if want.IsEmpty() {
		return 0
	}
	return 1
}

// countSets finds sets of banks and numbers that no profile has.
func (c *checker) countSets(want int) error {
	got := 0
	err := c.each(bktIndex, func(k, _ []byte) {
		if len(k) == setKeySize {
			got++
		}
	})
	if got != want {
		c.problem("index: %d sets, want %d", got, want)
	}
	return err
}

func (c *checker) checkUse(want map[uint32]*bankUse) error {
	got, err := readUse(c.t.Tx)
	if err != nil {
		c.problem("index: %v", err)
		return nil
	}
	for bank, w := range want {
		g := got[bank]
		if g == nil || g.profiles != w.profiles || !slices.Equal(g.counts, w.counts) {
			c.problem("index: wrong counts for bank %d", bank)
		}
	}
	return nil
}
