package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/bitmask"
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

// What no record has more of.
const (
	MaxCodes = 2
	MaxLabel = 1 << 16 // of a code, excluding
)

func checkCodes(codes []Code) error {
	if len(codes) > MaxCodes {
		return fmt.Errorf("%d codes, at most %d", len(codes), MaxCodes)
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
		if label >= MaxLabel || i > 0 && label <= c.Labels[i-1] {
			return fmt.Errorf("labels %v, want them ascending and below %d", c.Labels, MaxLabel)
		}
		if err := bitmask.CheckPairs(c.Rows[i*width:][:width], c.K); err != nil {
			return fmt.Errorf("row of label %d: %w", label, err)
		}
	}
	return nil
}

// AppendCode appends all of a code but its bank. A label is written as how many
// were left out since the one before it, so that it has one encoding.
func AppendCode(b []byte, c *Code) []byte {
	b = AppendUvarints(b, c.K, len(c.Labels))
	next := uint32(0)
	for _, label := range c.Labels {
		b = binary.AppendUvarint(b, uint64(label-next))
		next = label + 1
	}
	return append(append(b, c.Scales...), c.Rows...)
}

// code reads what AppendCode has written. Whether it is a code checkCodes says.
func (d *Decoder) code(c *Code) {
	c.K = int(d.Uint(bitmask.MaxAdapters/2, "code's K"))
	n := d.Uint(min(MaxLabel, uint64(len(d.B))), "code's labels") // each is a byte or more
	next := uint64(0)
	c.Labels = make([]uint32, 0, n)
	for range n {
		label := next + d.Uint(MaxLabel, "code's label")
		if label >= MaxLabel {
			d.Fail("code's label is %d, want below %d", label, MaxLabel)
			return
		}
		c.Labels, next = append(c.Labels, uint32(label)), label+1
	}
	c.Scales = bytes.Clone(d.Take(n, "code's scales"))
	c.Rows = bytes.Clone(d.Take(n*uint64(bitmask.RowBytes(c.K)), "code's rows"))
}

// MaskBytes is how many bytes of the record are rows, of the mask and of codes.
func (p *Record) MaskBytes() int {
	n := 0
	if p.Mask != nil {
		n = bitmask.Size(p.Mask.N, p.Mask.Blocks)
	}
	for _, c := range p.Codes {
		n += len(c.Rows)
	}
	return n
}

// Banks are the refs of those that p is over: its mask's, then its codes'.
func (p *Record) Banks() (refs []uint32) {
	if p.Mask != nil {
		refs = append(refs, p.Bank)
	}
	for _, c := range p.Codes {
		refs = append(refs, c.Bank)
	}
	return refs
}
