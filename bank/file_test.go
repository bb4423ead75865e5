package bank

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tinyWarm is small enough to flip each of its bytes.
func tinyWarm() Properties {
	return Properties{Origin: Warm, N: 3, Blocks: 2, Hidden: 5, Bottleneck: 2, Activation: ReLU, Bias: true, DType: F32}
}

// testRows returns rows of pseudo-random numbers that F16 holds exactly.
func testRows(p Properties) RowFunc {
	return func(side Side, block, adapter int) (weights, bias []float32, err error) {
		state := uint64(adapter)<<16 | uint64(block)<<1 | uint64(side)
		weights = make([]float32, p.Elems())
		bias = make([]float32, p.BiasElems(side))
		for _, s := range [][]float32{weights, bias} {
			for i := range s {
				state = state*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
				s[i] = float32(int64(state)>>53) / 4096
			}
		}
		return weights, bias, nil
	}
}

// memory is an io.WriterAt that grows.
type memory struct{ b []byte }

func (m *memory) WriteAt(b []byte, off int64) (int, error) {
	if need := int(off) + len(b); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[off:], b), nil
}

// encodeBank writes a bank into memory, padded to its full length.
func encodeBank(t *testing.T, p Properties, affine []float32, row RowFunc) ([]byte, Digest) {
	t.Helper()
	m := &memory{}
	d, err := Write(context.Background(), m, p, affine, row)
	if err != nil {
		t.Fatal(err)
	}
	return append(m.b, make([]byte, newLayout(p).size-int64(len(m.b)))...), d
}

// readAll is what a reader may do with a file: every check there is.
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
				if err := f.CheckRow(side, block, adapter); err != nil {
					return err
				}
			}
		}
	}
	return f.Verify(context.Background())
}

func TestFileRoundTrip(t *testing.T) {
	for _, dtype := range []DType{F32, F16} {
		for _, bias := range []bool{false, true} {
			p := tinyWarm()
			p.DType, p.Bias, p.NormB = dtype, bias, !bias
			affine := DefaultAffine(p)
			affine[1] = 0.5
			path := filepath.Join(t.TempDir(), "bank")
			d, err := WriteFile(context.Background(), path, p, affine, testRows(p))
			if err != nil {
				t.Fatal(err)
			}
			f, err := OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if diff := cmp.Diff(p, f.Properties()); diff != "" {
				t.Errorf("properties (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(affine, f.Affine()); diff != "" {
				t.Errorf("affine (-want +got):\n%s", diff)
			}
			if f.Digest() != d {
				t.Errorf("digest: got %v, want %v", f.Digest(), d)
			}
			checkRows(t, f, testRows(p))
			if err := f.Verify(context.Background()); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
	}
}

// checkRows compares Row and the views with what was written.
func checkRows(t *testing.T, f *File, want RowFunc) {
	t.Helper()
	p := f.Properties()
	size := p.DType.Size()
	for block := range p.Blocks {
		for _, side := range []Side{Down, Up} {
			if got := len(f.Region(side, block)); got != p.N*p.Elems()*size {
				t.Errorf("region: got %d bytes, want %d", got, p.N*p.Elems()*size)
			}
			if got := len(f.BiasRegion(side, block)); got != p.N*p.BiasElems(side)*size {
				t.Errorf("bias region: got %d bytes, want %d", got, p.N*p.BiasElems(side)*size)
			}
			for adapter := range p.N {
				w, b, err := f.Row(side, block, adapter)
				if err != nil {
					t.Fatal(err)
				}
				ww, wb, _ := want(side, block, adapter)
				if !cmp.Equal(w, ww) || p.Bias && !cmp.Equal(b, wb) {
					t.Fatalf("block %d %v adapter %d: got %v %v, want %v %v", block, side, adapter, w, b, ww, wb)
				}
				view := make([]float32, p.Elems())
				decodeEntries(view, f.Region(side, block)[adapter*p.Elems()*size:], p.DType)
				if !cmp.Equal(view, ww) {
					t.Fatalf("block %d %v adapter %d: view %v, want %v", block, side, adapter, view, ww)
				}
			}
		}
	}
}

func TestRegionsAreAligned(t *testing.T) {
	p := tinyWarm()
	end := int64(0)
	l := newLayout(p)
	for i, r := range l.regions() {
		if r.off%alignment != 0 || r.off < end {
			t.Errorf("region %d: got offset %d, want a multiple of %d from %d on", i, r.off, alignment, end)
		}
		end = r.end()
	}
	if l.size < end || l.size-end >= alignment {
		t.Errorf("size: got %d, want the last region's end %d aligned", l.size, end)
	}
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
	binary.LittleEndian.PutUint32(data[atVersion:], 2)
	_, err := Decode(data)
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.Field != "version" || unsupported.Value != "2" {
		t.Errorf("got %v, want an UnsupportedError of version 2", err)
	}
}

// reseal makes the header's checksums right again, as an attacker would.
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

func TestCheckRowConcurrently(t *testing.T) {
	p := tinyWarm()
	p.N = 200
	path := filepath.Join(t.TempDir(), "bank")
	if _, err := WriteFile(context.Background(), path, p, nil, testRows(p)); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 10 * p.N {
				err := f.CheckRow(Side(i&1), i%2, (i*7+g)%p.N)
				if err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		}()
	}
	f.Close()
	wg.Wait()
	if err := f.CheckRow(Down, 0, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
}

func TestClosedFile(t *testing.T) {
	p := tinyWarm()
	data, _ := encodeBank(t, p, nil, testRows(p))
	f, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, _, rowErr := f.Row(Down, 0, 0)
	_, writeErr := f.WriteTo(io.Discard)
	for _, err := range []error{rowErr, writeErr, f.Verify(context.Background())} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
	if f.Region(Down, 0) != nil || f.BiasRegion(Up, 0) != nil || f.Affine() != nil {
		t.Error("a closed file has views, want none")
	}
}

func TestRowOutOfRange(t *testing.T) {
	p := tinyWarm()
	data, _ := encodeBank(t, p, nil, testRows(p))
	f, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range [][3]int{{2, 0, 0}, {-1, 0, 0}, {0, 2, 0}, {0, -1, 0}, {0, 0, 3}, {0, 0, -1}} {
		if err := f.CheckRow(Side(at[0]), at[1], at[2]); !errors.Is(err, ErrInvalid) {
			t.Errorf("row %v: got %v, want ErrInvalid", at, err)
		}
	}
	if got := f.Region(Down, 2); got != nil {
		t.Errorf("region of block 2 of 2: got %d bytes, want nil", len(got))
	}
}

func TestVerifyCanceled(t *testing.T) {
	p := tinyWarm()
	data, _ := encodeBank(t, p, nil, testRows(p))
	f, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestOpenFileRefuses(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(short); !errors.Is(err, ErrCorrupt) {
		t.Errorf("empty file: got %v, want ErrCorrupt", err)
	}
	if _, err := OpenFile(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("folder: got %v, want ErrCorrupt", err)
	}
	if _, err := OpenFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want os.ErrNotExist", err)
	}
}

func BenchmarkCheckRow(b *testing.B) {
	p := Properties{Origin: Warm, N: 64, Blocks: 1, Hidden: 384, Bottleneck: 24}
	m := &memory{}
	if _, err := Write(context.Background(), m, p, nil, testRows(p)); err != nil {
		b.Fatal(err)
	}
	for _, first := range []bool{true, false} {
		name := map[bool]string{true: "first", false: "again"}[first]
		b.Run(name, func(b *testing.B) {
			f, err := Decode(m.b)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if first {
					f.checked[0].Store(0)
				}
				if err := f.CheckRow(Down, 0, i%64); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
