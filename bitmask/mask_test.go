package bitmask

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomMask is k-hot in every row.
func randomMask(t testing.TB, r *rand.Rand, n, k, blocks int) *Mask {
	t.Helper()
	m, err := New(n, k, blocks)
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, n)
	for row := range 2 * blocks {
		for i := range logits {
			logits[i] = r.Float32()
		}
		if err := TopK(logits, k, m.Row(Side(row/blocks), row%blocks)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestPaperBytes has the paper's counts, 2·⌈N/8⌉·L.
func TestPaperBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ n, blocks, want int }{
		{100, 12, 312}, {200, 12, 600}, {400, 12, 1200}, {150, 6, 228},
	} {
		m := randomMask(t, r, c.n, 50, c.blocks)
		if got := len(m.Bytes()); got != c.want || Size(c.n, c.blocks) != c.want {
			t.Errorf("N=%d L=%d: got %d bytes, want %d", c.n, c.blocks, got, c.want)
		}
	}
}

func TestLayout(t *testing.T) {
	m, err := New(10, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	set := func(side Side, block int, adapters ...int) {
		for _, i := range adapters {
			m.Row(side, block).Set(i)
		}
	}
	set(Down, 0, 0, 1)
	set(Down, 1, 0, 9)
	set(Up, 0, 7, 8)
	set(Up, 1, 2, 3)
	want := []byte{0x03, 0, 0x01, 0x02, 0x80, 0x01, 0x0c, 0}
	if !bytes.Equal(m.Bytes(), want) {
		t.Errorf("got %x, want %x", m.Bytes(), want)
	}
	if got := m.Indices(Up, 0, []int32{5}); !slices.Equal(got, []int32{5, 7, 8}) {
		t.Errorf("got %v, want [5 7 8]", got)
	}
	if !m.Row(Up, 1).Get(2) || m.Row(Up, 1).Get(1) {
		t.Error("got a wrong bit, want 2 set and 1 clear")
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
	m.Row(Up, 1)[0] &^= 1 << 3
	if err := m.Check(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one bit less: got %v, want ErrCorrupt", err)
	}
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 7, 8, 9, 63, 64, 65, 150, 400, 1000} {
		m := randomMask(t, r, n, 1+r.IntN(n), 3)
		b := bytes.Clone(m.Bytes())
		got, err := Decode(m.N, m.K, m.Blocks, b)
		if err != nil || !got.Equal(m) {
			t.Fatalf("N=%d: got %v, %v, want %v", n, got, err, m)
		}
		clear(b) // it is a copy
		if !got.Equal(m) {
			t.Errorf("N=%d: got a view, want a copy", n)
		}
		if none := (*Mask)(nil); none.Equal(m) || m.Equal(none) || !none.Equal(nil) {
			t.Errorf("N=%d: no mask is equal to one, or not to none", n)
		}
	}
}

// TestView changes the bytes that a mask was made of: a view changes with them, what Decode returns
// does not.
func TestView(t *testing.T) {
	b := []byte{0x26, 0, 0x07, 0}
	view, err := View(10, 3, 1, b)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := Decode(10, 3, 1, b)
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 0x70
	if got := view.Indices(Down, 0, nil); !slices.Equal(got, []int32{4, 5, 6}) {
		t.Errorf("view: got %v, want the ones that were written", got)
	}
	if got := copied.Indices(Down, 0, nil); !slices.Equal(got, []int32{1, 2, 5}) {
		t.Errorf("copy: got %v, want the ones that were decoded", got)
	}
}

// TestDecodeDamage cuts a mask at every byte and flips every bit.
func TestDecodeDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m := randomMask(t, r, 21, 5, 2)
	b := m.Bytes()
	for i := range b {
		if _, err := Decode(m.N, m.K, m.Blocks, b[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d: got %v, want ErrCorrupt", i, err)
		}
		for bit := range 8 {
			flipped := bytes.Clone(b)
			flipped[i] ^= 1 << bit
			if _, err := Decode(m.N, m.K, m.Blocks, flipped); !errors.Is(err, ErrCorrupt) {
				t.Errorf("flipped at %d.%d: got %v, want ErrCorrupt", i, bit, err)
			}
		}
	}
	if _, err := Decode(m.N, m.K, m.Blocks, append(bytes.Clone(b), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("tail: got %v, want ErrCorrupt", err)
	}
	// k ones, but one of them after N.
	tail := bytes.Clone(b)
	row := Row(tail[:3])
	one := row.AppendIndices(nil)[0]
	row[one>>3] &^= 1 << (one & 7)
	row.Set(22)
	if _, err := Decode(m.N, m.K, m.Blocks, tail); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one after N: got %v, want ErrCorrupt", err)
	}
}

func TestDims(t *testing.T) {
	for _, c := range []struct{ n, k, blocks int }{
		{0, 1, 1}, {-1, 1, 1}, {MaxAdapters + 1, 1, 1}, {8, 0, 1}, {8, 9, 1}, {8, 1, 0}, {8, 1, MaxBlocks + 1},
		{math.MaxInt, 1, 1}, {8, 1, math.MaxInt},
	} {
		if _, err := New(c.n, c.k, c.blocks); !errors.Is(err, ErrDims) {
			t.Errorf("New %v: got %v, want ErrDims", c, err)
		}
		if _, err := Decode(c.n, c.k, c.blocks, nil); !errors.Is(err, ErrDims) {
			t.Errorf("Decode %v: got %v, want ErrDims", c, err)
		}
	}
	if _, err := New(MaxAdapters, MaxAdapters, 1); err != nil {
		t.Error(err)
	}
}

func TestAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	a, b := randomMask(t, r, 150, 50, 6), randomMask(t, r, 150, 50, 6)
	buf := make([]int32, 0, 50)
	got := testing.AllocsPerRun(100, func() {
		_ = a.Equal(b)
		_ = a.Check()
		_ = a.Bytes()
		for block := range 6 {
			buf = a.Indices(Up, block, buf[:0])
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func TestRowPanics(t *testing.T) {
	m := randomMask(t, rand.New(rand.NewPCG(1, 1)), 8, 1, 2)
	for _, c := range []struct {
		side  Side
		block int
	}{{2, 0}, {-1, 0}, {Down, 2}, {Down, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v %d: got a row, want a panic", c.side, c.block)
				}
			}()
			m.Row(c.side, c.block)
		}()
	}
}

func BenchmarkDecode(b *testing.B) {
	m := randomMask(b, rand.New(rand.NewPCG(1, 1)), 150, 50, 6)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Decode(m.N, m.K, m.Blocks, m.Bytes())
	}
}

func BenchmarkIndices(b *testing.B) {
	m := randomMask(b, rand.New(rand.NewPCG(1, 1)), 150, 50, 6)
	buf := make([]int32, 0, 50)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.Indices(Up, 3, buf[:0])
	}
}
