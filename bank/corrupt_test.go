package bank

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

func readAll(data []byte) error {
	f, err := Decode(data)
	if err != nil {
		return err
	}
	defer f.Close()
	p := f.Properties()
	for block := range p.Blocks {
		for _, side := range []Side{Down, Up} {
			for adapter := range p.N {
				if err := f.checkedRow(side, block, adapter); err != nil {
					return err
				}
			}
		}
	}
	return f.Verify(context.Background())
}

func TestFileCutAnywhere(t *testing.T) {
	p := tinyWarm()
	data, _ := encodeBank(t, p, nil, testRows(p))
	if err := readAll(data); err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := Decode(data[:n:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at byte %d: got %v, want ErrCorrupt", n, err)
		}
	}
	if _, err := Decode(append(bytes.Clone(data), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte too many: got %v, want ErrCorrupt", err)
	}
}

func TestFileEveryBitFlipped(t *testing.T) {
	for _, dtype := range []DType{F32, F16} {
		p := tinyWarm()
		p.DType = dtype
		data, _ := encodeBank(t, p, nil, testRows(p))
		for i := range data {
			for bit := range 8 {
				data[i] ^= 1 << bit
				err := readAll(data)
				data[i] ^= 1 << bit
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
					t.Fatalf("byte %d bit %d: got %v, want ErrCorrupt", i, bit, err)
				}
			}
		}
	}
}

func TestFileWrongVersion(t *testing.T) {
	p := tinyWarm()
	data, _ := encodeBank(t, p, nil, testRows(p))
	binary.LittleEndian.PutUint32(data[atVersion:], loraVersion)
	binary.LittleEndian.PutUint32(data[atHeaderCRC:], headerCRC(data[:newLayout(p).header]))
	if _, err := Decode(data); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the version of another kind: got %v, want ErrCorrupt", err)
	}
	binary.LittleEndian.PutUint32(data[atVersion:], 3)
	_, err := Decode(data)
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.Field != "version" || unsupported.Value != "3" {
		t.Errorf("got %v, want an UnsupportedError of version 3", err)
	}
}

func reseal(data []byte) {
	h, err := decodeFixed(data)
	if err != nil {
		return
	}
	if int64(len(data)) < h.blocks {
		return
	}
	crc := crc32Of(h.affine.of(data), h.checks.of(data))
	binary.LittleEndian.PutUint32(data[atChecksCRC:], crc)
	binary.LittleEndian.PutUint32(data[atHeaderCRC:], headerCRC(data[:h.layout.header]))
}

func crc32Of(a, b []byte) uint32 { return rowCRC(a, b) }

func TestFileHostile(t *testing.T) {
	p := tinyWarm()
	valid, _ := encodeBank(t, p, nil, testRows(p))
	l := newLayout(p)
	le := binary.LittleEndian
	nan := math.Float32bits(float32(math.NaN()))
	tests := []struct {
		name string
		harm func(b []byte)
	}{
		{"huge N", func(b []byte) { le.PutUint32(b[atProperties+4:], 65_536) }},
		{"N beyond the limit", func(b []byte) { le.PutUint32(b[atProperties+4:], 1<<31) }},
		{"all dimensions huge", func(b []byte) {
			for i := range 4 {
				le.PutUint32(b[atProperties+4+4*i:], 0xffffffff)
			}
		}},
		{"another file size", func(b []byte) { le.PutUint64(b[atSize:], 1<<62) }},
		{"another header length", func(b []byte) { le.PutUint32(b[atHeaderLen:], 1<<31) }},
		{"a region elsewhere", func(b []byte) { le.PutUint64(b[headerSize+32:], 1<<62) }},
		{"a region of another length", func(b []byte) { le.PutUint64(b[headerSize+40:], 1) }},
		{"a random bank", func(b []byte) {
			r := p
			r.Origin, r.Bias, r.SigmaA, r.SigmaB = Random, false, 1, 1
			props, err := r.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			copy(b[atProperties:], props)
		}},
		{"NaN in the affine", func(b []byte) { le.PutUint32(b[l.affine.off:], nan) }},
		{"NaN in a row with a right CRC", func(b []byte) {
			w, bias := l.row(Up, 1, 2)
			le.PutUint32(b[w.off:], nan)
			le.PutUint32(b[l.checks.off+4*int64(l.index(Up, 1, 2)):], rowCRC(w.of(b), bias.of(b)))
		}},
		{"another row with a right CRC", func(b []byte) {
			w, bias := l.row(Down, 0, 1)
			b[w.off] ^= 1
			le.PutUint32(b[l.checks.off+4*int64(l.index(Down, 0, 1)):], rowCRC(w.of(b), bias.of(b)))
		}},
		{"bytes in a gap", func(b []byte) { b[l.affine.end()] = 1 }},
		{"bytes behind the last region", func(b []byte) { b[l.size-1] = 1 }},
		{"another digest", func(b []byte) { b[atDigest]++ }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(valid)
			tt.harm(b)
			reseal(b)
			if err := readAll(b); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
		})
	}
}
