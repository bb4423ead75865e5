package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

func mask(f testing.TB, n, k, blocks int) *bitmask.Mask {
	m, err := bitmask.New(n, k, blocks)
	if err != nil {
		f.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for row := range 2 * blocks {
		for _, i := range r.Perm(n)[:k] {
			m.Row(bitmask.Side(row/blocks), row%blocks).Set(i)
		}
	}
	return m
}

// code has the same row for every label.
func code(bank uint32, k int, labels ...uint32) store.Code {
	row := make(bitmask.Row, bitmask.RowBytes(k))
	for i := 0; i < k; i += 3 {
		row.Set(i)
	}
	n := len(labels)
	return store.Code{Bank: bank, K: k, Labels: labels, Rows: bytes.Repeat(row, n),
		Scales: bytes.Repeat([]byte{160}, n)}
}

// FuzzRecord decodes any bytes as a record, as they are and with the right
// checksum put on them: an error of the two kinds, or a profile that encodes
// to the same bytes.
func FuzzRecord(f *testing.F) {
	for _, p := range []*store.Profile{
		{ID: "a", Mask: mask(f, 8, 2, 1)},
		{ID: "ann", Bank: 1, Head: 2, Revision: 3, Mask: mask(f, 20, 5, 2), Prior: []uint32{1, 0, 300}, After: 0.5},
		{
			ID: "ü/1", Bank: 7, OwnHead: []byte("head"), Mask: mask(f, 9, 9, 1), Affine: []byte{1}, Bias: []byte{2},
			Created: time.Unix(1, 0), Updated: time.Unix(2, 0), Examples: 9, Before: 0.25,
		},
		{ID: "n", Head: 1, Prior: []uint32{1}},
		{ID: "c", Head: 1, Codes: []store.Code{code(1, 9, 0, 3)}, Temperature: 128, Bias: []byte{1}},
		{ID: "c", Bank: 1, Mask: mask(f, 9, 9, 1), Codes: []store.Code{code(300, 384, 1), code(2, 8, 0, 1, 70)},
			Before: 0.5},
	} {
		b, err := store.EncodeProfile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRecord(t, b)
		if len(b) >= 4 {
			body := bytes.Clone(b[:len(b)-4])
			crc := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
			checkRecord(t, binary.LittleEndian.AppendUint32(body, crc))
		}
	})
}

func checkRecord(t *testing.T, b []byte) {
	p, err := store.DecodeProfile(b)
	if err != nil {
		if p != nil || !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrSchema) {
			t.Fatalf("got %v, %v, want nil and ErrCorrupt", p, err)
		}
		return
	}
	again, err := store.EncodeProfile(p)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("got %x, %v, want %x", again, err, b)
	}
}
