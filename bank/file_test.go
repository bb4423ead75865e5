package bank

import (
	"context"
	"errors"
	"io"
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
	size := p.DType.size()
	for block := range p.Blocks {
		for _, side := range []Side{Down, Up} {
			if got := len(f.region(side, block)); got != p.N*p.Elems()*size {
				t.Errorf("region: got %d bytes, want %d", got, p.N*p.Elems()*size)
			}
			if got := len(f.biasRegion(side, block)); got != p.N*p.BiasElems(side)*size {
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
				decodeEntries(view, f.region(side, block)[adapter*p.Elems()*size:], p.DType)
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

// reseal makes the header's checksums right again, as an attacker would.
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
				err := f.checkedRow(Side(i&1), i%2, (i*7+g)%p.N)
				if err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		}()
	}
	f.Close()
	wg.Wait()
	if err := f.checkedRow(Down, 0, 0); !errors.Is(err, ErrClosed) {
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
	if f.region(Down, 0) != nil || f.biasRegion(Up, 0) != nil || f.Affine() != nil {
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
		if err := f.checkedRow(Side(at[0]), at[1], at[2]); !errors.Is(err, ErrInvalid) {
			t.Errorf("row %v: got %v, want ErrInvalid", at, err)
		}
	}
	if got := f.region(Down, 2); got != nil {
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
				if err := f.checkedRow(Down, 0, i%64); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
