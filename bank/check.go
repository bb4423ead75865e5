package bank

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
)

const warmDomain = "xpeft warm bank\x00"

// checkedRow returns nil if the row's bytes have the right CRC and are finite. The
// answer is kept: to ask again costs one atomic load.
func (f *File) checkedRow(side Side, block, adapter int) error {
	if !f.p.hasRow(side, block, adapter) {
		return f.p.checkRow(side, block, adapter)
	}
	i := f.index(side, block, adapter)
	if f.closed.Load() {
		return ErrClosed
	}
	if f.checked[i/64].Load()&(1<<(i%64)) != 0 {
		return nil
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.data == nil {
		return ErrClosed
	}
	return f.checkRow(side, block, adapter)
}

// checkRow reads the row. The caller holds mu.
func (f *File) checkRow(side Side, block, adapter int) error {
	i := f.index(side, block, adapter)
	w, b := f.row(side, block, adapter)
	weights, biases := w.of(f.data), b.of(f.data)
	want := binary.LittleEndian.Uint32(f.checks.of(f.data)[4*i:])
	if got := rowCRC(weights, biases); got != want {
		return corruptf("block %d %v adapter %d: CRC %08x, want %08x", block, side, adapter, got, want)
	}
	if notFinite(weights, f.p.DType) >= 0 || notFinite(biases, f.p.DType) >= 0 {
		return corruptf("block %d %v adapter %d: an entry is not finite", block, side, adapter)
	}
	f.checked[i/64].Or(1 << (i % 64))
	return nil
}

func rowCRC(weights, biases []byte) uint32 {
	return crc32.Update(crc32.Checksum(weights, castagnoli), castagnoli, biases)
}

// Verify reads the whole file: every row's CRC, the zeros between the regions and
// the digest. It stops early when ctx is done.
func (f *File) Verify(ctx context.Context) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.data == nil {
		return ErrClosed
	}
	if err := f.checkGaps(); err != nil {
		return err
	}
	sum := newDigester(f.p, f.affine.of(f.data))
	for block := range f.p.Blocks {
		for _, side := range []Side{Down, Up} {
			for adapter := range f.p.N {
				if err := ctx.Err(); err != nil {
					return fmt.Errorf("bank: verify: %w", err)
				}
				if err := f.checkRow(side, block, adapter); err != nil {
					return err
				}
				w, b := f.row(side, block, adapter)
				sum.Write(w.of(f.data))
				sum.Write(b.of(f.data))
			}
		}
	}
	if got := Digest(sum.Sum(nil)); got != f.digest {
		return corruptf("digest %v, want %v", got, f.digest)
	}
	return nil
}

// checkGaps looks at the bytes that align the regions.
func (f *File) checkGaps() error {
	at := f.layout.header
	for _, r := range append(f.regions(), region{off: f.size}) {
		for i, v := range f.data[at:r.off] {
			if v != 0 {
				return corruptf("byte %d between two regions is not zero", at+int64(i))
			}
		}
		at = r.end()
	}
	return nil
}

// newDigester begins the digest of a warm bank: the domain, the properties, the
// affine; then follow, row by row in the order of layout.index, weights and biases
// as they are stored. The properties were validated.
func newDigester(p Properties, affine []byte) hash.Hash {
	props, _ := p.MarshalBinary()
	h := sha256.New()
	h.Write([]byte(warmDomain))
	h.Write(props)
	h.Write(affine)
	return h
}
