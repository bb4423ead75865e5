package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store/internal/format"
)

// Code is rows of a profile's own over a bank of pairs: one for each label of its
// head that it uses. A row takes one adapter of each pair, so that it is k-hot with
// k = N/2, and is stored as k bits (bitmask.PairRow), with a byte that says its scale.
type Code struct {
	Bank   uint32   // ref from PutBank; the bank's N is 2·K
	K      int      // bits of a row
	Labels []uint32 // ascending: which labels of the head have a row, one at least
	Rows   []byte   // ⌈K/8⌉ bytes for each of Labels
	Scales []byte   // of each of Labels; none is 0
}

const (
	maxCodes = 2       // of a record
	maxLabel = 1 << 16 // of a code, excluding
)

func checkCodes(codes []Code) error {
	if len(codes) > maxCodes {
		return fmt.Errorf("%d codes, at most %d", len(codes), maxCodes)
	}
	for i := range codes {
		if err := codes[i].check(); err != nil {
			return fmt.Errorf("code %d: %w", i, err)
		}
	}
	if len(codes) == 2 && codes[0].Bank == codes[1].Bank {
		return fmt.Errorf("two codes over bank %d", codes[0].Bank)
	}
	return nil
}

func (c *Code) check() error {
	n, width := len(c.Labels), bitmask.RowBytes(c.K)
	switch {
	case c.K < 1 || c.K > bitmask.MaxAdapters/2:
		return fmt.Errorf("it has rows of %d bits, want 1 to %d", c.K, bitmask.MaxAdapters/2)
	case n == 0:
		return errors.New("it has no labels")
	case len(c.Rows) != n*width || len(c.Scales) != n:
		return fmt.Errorf("%d bytes of rows and %d scales for %d labels of %d bits", len(c.Rows), len(c.Scales), n, c.K)
	case bytes.IndexByte(c.Scales, 0) >= 0:
		return errors.New("a scale is 0")
	}
	for i, label := range c.Labels {
		if label >= maxLabel || i > 0 && label <= c.Labels[i-1] {
			return fmt.Errorf("labels %v, want them ascending and below %d", c.Labels, maxLabel)
		}
		if err := bitmask.CheckPairs(c.Rows[i*width:][:width], c.K); err != nil {
			return fmt.Errorf("row of label %d: %w", label, err)
		}
	}
	return nil
}

// appendCode appends all of a code but its bank. A label is written as how many
// were left out since the one before it, so that it has one encoding.
func appendCode(b []byte, c *Code) []byte {
	b = format.AppendUvarints(b, c.K, len(c.Labels))
	next := uint32(0)
	for _, label := range c.Labels {
		b = binary.AppendUvarint(b, uint64(label-next))
		next = label + 1
	}
	return append(append(b, c.Scales...), c.Rows...)
}

// code reads what appendCode has written. Whether it is a code checkCodes says.
func (d *recordDecoder) code(c *Code) {
	c.K = int(d.Uint(bitmask.MaxAdapters/2, "code's K"))
	n := d.Uint(min(maxLabel, uint64(len(d.B))), "code's labels") // each is a byte or more
	next := uint64(0)
	c.Labels = make([]uint32, 0, n)
	for range n {
		label := next + d.Uint(maxLabel, "code's label")
		if label >= maxLabel {
			d.Fail("code's label is %d, want below %d", label, maxLabel)
			return
		}
		c.Labels, next = append(c.Labels, uint32(label)), label+1
	}
	c.Scales = bytes.Clone(d.Take(n, "code's scales"))
	c.Rows = bytes.Clone(d.Take(n*uint64(bitmask.RowBytes(c.K)), "code's rows"))
}

// MaskBytes is how many bytes of the record are rows, of the mask and of codes.
func (p *Profile) MaskBytes() int {
	n := 0
	if p.Mask != nil {
		n = bitmask.Size(p.Mask.N, p.Mask.Blocks)
	}
	for _, c := range p.Codes {
		n += len(c.Rows)
	}
	return n
}

// banks are the refs of those that p is over: its mask's, then its codes'.
func (p *Profile) banks() (refs []uint32) {
	if p.Mask != nil {
		refs = append(refs, p.Bank)
	}
	for _, c := range p.Codes {
		refs = append(refs, c.Bank)
	}
	return refs
}

// overBanks says whether there are the banks that p is over, and its mask and its
// codes fit them.
func (p *Profile) overBanks(bank func(ref uint32) (BankInfo, error)) error {
	if m := p.Mask; m != nil {
		info, err := bank(p.Bank)
		if err != nil {
			return err
		}
		if m.N != info.N || m.Blocks != info.Blocks {
			return fmt.Errorf("%w: mask of N=%d L=%d, bank %d has N=%d L=%d", ErrMismatch, m.N, m.Blocks, p.Bank,
				info.N, info.Blocks)
		}
	}
	for _, c := range p.Codes {
		info, err := bank(c.Bank)
		if err != nil {
			return err
		}
		if info.N != 2*c.K {
			return fmt.Errorf("%w: code of K=%d, bank %d has N=%d", ErrMismatch, c.K, c.Bank, info.N)
		}
	}
	return nil
}

// bankOf finds a bank by its ref, for overBanks.
func bankOf(banks map[uint32]BankInfo) func(ref uint32) (BankInfo, error) {
	return func(ref uint32) (BankInfo, error) {
		info, ok := banks[ref]
		if !ok {
			return info, fmt.Errorf("no bank %d", ref)
		}
		return info, nil
	}
}
