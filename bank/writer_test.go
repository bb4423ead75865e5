package bank

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

func TestSaveNamesByDigest(t *testing.T) {
	dir := t.TempDir()
	p := tinyWarm()
	d, err := Save(context.Background(), dir, p, nil, testRows(p))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Save(context.Background(), dir, p, nil, testRows(p))
	if err != nil || again != d {
		t.Fatalf("a second time: got %v, %v, want %v", again, err, d)
	}
	want, _ := encodeBank(t, p, nil, testRows(p))
	got, err := os.ReadFile(filepath.Join(dir, d.String()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the file differs from what Write wrote to memory")
	}
	checkOnly(t, dir, d.String())
}

// checkOnly wants the folder to hold these files and no temporary ones.
func checkOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(want) {
		t.Errorf("folder: got %q, want %q", got, want)
	}
}

// The digest names the content: whatever a reader can see changes it.
func TestDigestSeesEverything(t *testing.T) {
	p := tinyWarm()
	_, base := encodeBank(t, p, nil, testRows(p))
	changed := func(name string, p Properties, affine []float32, row RowFunc) {
		if _, d := encodeBank(t, p, affine, row); d == base {
			t.Errorf("%s: the digest is the same", name)
		}
	}
	q := p
	q.Activation = Identity
	changed("activation", q, nil, testRows(q))
	q = p
	q.NormB = true
	changed("norm", q, nil, testRows(q))
	affine := DefaultAffine(p)
	affine[0] = 2
	changed("affine", p, affine, testRows(p))
	changed("a bias", p, nil, func(side Side, block, adapter int) ([]float32, []float32, error) {
		w, b, err := testRows(p)(side, block, adapter)
		if side == Up && block == 1 && adapter == 2 {
			b[4]++
		}
		return w, b, err
	})
}

func TestWriteRefuses(t *testing.T) {
	broken := errors.New("broken")
	p := tinyWarm()
	half := p
	half.DType = F16
	random := Properties{Origin: Random, N: 1, Blocks: 1, Hidden: 2, Bottleneck: 1, SigmaA: 1, SigmaB: 1}
	with := func(p Properties, v float32) RowFunc {
		return func(side Side, block, adapter int) ([]float32, []float32, error) {
			w, b, err := testRows(p)(side, block, adapter)
			b[len(b)-1] = v
			return w, b, err
		}
	}
	tests := []struct {
		name   string
		p      Properties
		affine []float32
		row    RowFunc
		want   error
	}{
		{"NaN", p, nil, with(p, float32(math.NaN())), ErrInvalid},
		{"Inf", p, nil, with(p, float32(math.Inf(-1))), ErrInvalid},
		{"too large for F16", half, nil, with(half, 65520), ErrInvalid},
		{"NaN in the affine", p, append(DefaultAffine(p)[1:], float32(math.NaN())), testRows(p), ErrInvalid},
		{"short affine", p, DefaultAffine(p)[1:], testRows(p), ErrInvalid},
		{"no properties", Properties{}, nil, testRows(p), ErrInvalid},
		{"random bank", random, nil, testRows(random), ErrInvalid},
		{"rows of another shape", p, nil, testRows(random), ErrInvalid},
		{"row function fails", p, nil, func(Side, int, int) ([]float32, []float32, error) { return nil, nil, broken },
			broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := Save(context.Background(), dir, tt.p, tt.affine, tt.row)
			if !errors.Is(err, tt.want) || d != (Digest{}) {
				t.Errorf("got %v, %v, want %v", d, err, tt.want)
			}
			checkOnly(t, dir)
		})
	}
}

func TestWriteCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if _, err := Save(ctx, dir, tinyWarm(), nil, testRows(tinyWarm())); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	checkOnly(t, dir)
}

// failAt fails the write that reaches byte n.
type failAt struct {
	memory
	n int64
}

func (f *failAt) WriteAt(b []byte, off int64) (int, error) {
	if off <= f.n && f.n < off+int64(len(b)) {
		return 0, io.ErrShortWrite
	}
	return f.memory.WriteAt(b, off)
}

func TestWriteErrorsAreSeen(t *testing.T) {
	p := tinyWarm()
	l := newLayout(p)
	for _, r := range append(l.regions(), region{0, l.header}) {
		if r.len == 0 {
			continue
		}
		w := &failAt{n: r.off}
		if _, err := Write(context.Background(), w, p, nil, testRows(p)); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("write at %d fails: got %v, want io.ErrShortWrite", r.off, err)
		}
	}
}

func TestReceive(t *testing.T) {
	p := tinyWarm()
	data, want := encodeBank(t, p, nil, testRows(p))
	f, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	var sent bytes.Buffer
	if n, err := f.WriteTo(&sent); err != nil || n != f.Size() {
		t.Fatalf("WriteTo: got %d, %v, want %d", n, err, f.Size())
	}
	sent.WriteString("more")
	dir := t.TempDir()
	d, err := Receive(context.Background(), dir, iotest.OneByteReader(&sent))
	if err != nil || d != want {
		t.Fatalf("got %v, %v, want %v", d, err, want)
	}
	if got := sent.String(); got != "more" {
		t.Errorf("left in the stream: got %q, want %q", got, "more")
	}
	checkOnly(t, dir, want.String())
}

func TestReceiveRefuses(t *testing.T) {
	p := tinyWarm()
	data, _ := encodeBank(t, p, nil, testRows(p))
	dir := t.TempDir()
	for n := range data {
		if _, err := Receive(context.Background(), dir, bytes.NewReader(data[:n])); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at byte %d: got %v, want ErrCorrupt", n, err)
		}
	}
	flipped := bytes.Clone(data)
	flipped[len(flipped)-1] ^= 1
	if _, err := Receive(context.Background(), dir, bytes.NewReader(flipped)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("flipped: got %v, want ErrCorrupt", err)
	}
	broken := errors.New("broken")
	if _, err := Receive(context.Background(), dir, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken stream: got %v, want %v", err, broken)
	}
	checkOnly(t, dir)
}

func BenchmarkFile(b *testing.B) {
	p := Properties{Origin: Warm, N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24}
	weights := make([]float32, p.Elems())
	row := func(Side, int, int) ([]float32, []float32, error) { return weights, nil, nil }
	path := filepath.Join(b.TempDir(), "bank")
	b.Run("write", func(b *testing.B) {
		b.SetBytes(p.Bytes())
		for b.Loop() {
			if _, err := WriteFile(context.Background(), path, p, nil, row); err != nil {
				b.Fatal(err)
			}
		}
	})
	open := func(b *testing.B, use func(f *File) error) {
		b.ReportAllocs()
		for b.Loop() {
			f, err := OpenFile(path)
			if err != nil {
				b.Fatal(err)
			}
			if err := use(f); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	}
	b.Run("open", func(b *testing.B) { open(b, func(*File) error { return nil }) })
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(p.Bytes())
		open(b, func(f *File) error { return f.Verify(context.Background()) })
	})
}
