package bank

import (
	"errors"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/model"
)

// row is one adapter's half in one block, in Go.
func (b *Bank) row(t testing.TB, side Side, block, adapter int) (weights, bias []float32) {
	t.Helper()
	var err error
	if b.file != nil {
		weights, bias, err = b.file.Row(side, block, adapter)
	} else {
		weights = make([]float32, b.props.Elems())
		err = b.props.Generate(side, block, adapter, weights)
	}
	if err != nil {
		t.Fatal(err)
	}
	return weights, bias
}

// average is the fold of one side, block after block, in float64.
func average(t testing.TB, b *Bank, m *bitmask.Mask, side Side) (weights, bias []float64) {
	t.Helper()
	for l := range b.props.Blocks {
		w, c := make([]float64, b.props.Elems()), make([]float64, b.props.BiasElems(side))
		for _, i := range m.Indices(side, l, nil) {
			rw, rc := b.row(t, side, l, int(i))
			for j, v := range rw {
				w[j] += float64(v) / float64(m.K)
			}
			for j := range c {
				c[j] += float64(rc[j]) / float64(m.K)
			}
		}
		weights, bias = append(weights, w...), append(bias, c...)
	}
	return weights, bias
}

// wantClose compares by the largest value.
func wantClose(t testing.TB, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d values, want %d", what, len(got), len(want))
		return
	}
	worst, top := 0.0, 0.0
	for i, v := range want {
		worst, top = max(worst, math.Abs(float64(got[i])-v)), max(top, math.Abs(v))
	}
	if !(worst <= 1e-6*top) {
		t.Errorf("%s: got a difference of %g of values up to %g, want at most 1e-6 of them", what, worst, top)
	}
}

func wantFold(t testing.TB, b *Bank, m *bitmask.Mask, a *model.Adapter) {
	t.Helper()
	for side, got := range map[Side][2][]float32{Down: {a.Down, a.DownBias}, Up: {a.Up, a.UpBias}} {
		weights, bias := average(t, b, m, side)
		wantClose(t, side.String(), got[0], weights)
		wantClose(t, side.String()+" bias", got[1], bias)
	}
}

// parts of an adapter, those that it does not have too.
func parts(a *model.Adapter) [][]float32 {
	return [][]float32{a.Down, a.Up, a.DownBias, a.UpBias, a.Norm}
}

func TestFoldAgainstGo(t *testing.T) {
	large := smallRandom()
	large.N, large.Blocks, large.Hidden, large.Bottleneck = 150, 1, 384, 24
	for name, p := range map[string]Properties{
		"random": smallRandom(), "large random": large,
		"F32": smallWarm(F32, false), "F32 with biases": smallWarm(F32, true),
		"F16": smallWarm(F16, false), "F16 with biases": smallWarm(F16, true),
	} {
		t.Run(name, func(t *testing.T) {
			b := openBank(t, p)
			for _, k := range []int{1, 7, p.N} {
				m := randomMask(t, p, k, uint64(k))
				a := fold(t, b, m, nil)
				wantFold(t, b, m, a)
				n := int64(0)
				for _, part := range parts(a) {
					n += 4 * int64(len(part))
				}
				if p.FoldedBytes() != n {
					t.Errorf("FoldedBytes: got %d, want %d", p.FoldedBytes(), n)
				}
				if a.Blocks != p.Blocks || a.Bottleneck != p.Bottleneck ||
					(a.Activation == model.ReLU) != (p.Activation == ReLU) || (a.Norm != nil) != p.NormB {
					t.Errorf("got %d blocks, b=%d, activation %d, %d values of a norm", a.Blocks, a.Bottleneck,
						a.Activation, len(a.Norm))
				}
			}
		})
	}
}

// TestFoldInMemory: a file that lies in memory at any address folds to the same bits.
func TestFoldInMemory(t *testing.T) {
	for _, p := range []Properties{smallWarm(F32, true), smallWarm(F16, true)} {
		data, _ := encodeBank(t, p, DefaultAffine(p), testRows(p))
		m := randomMask(t, p, 7, 1)
		var want *model.Adapter
		for at := range 4 {
			moved := append(make([]byte, at, at+len(data)), data...)[at:]
			f, err := Decode(moved)
			if err != nil {
				t.Fatal(err)
			}
			b := FromFile(f)
			got := fold(t, b, m, nil)
			wantFold(t, b, m, got)
			if want == nil {
				want = got
			}
			for i, part := range parts(got) {
				if !slices.Equal(part, parts(want)[i]) {
					t.Errorf("%v at %d: part %d has other bits", p.DType, at, i)
				}
			}
		}
	}
}

// TestFoldMany: folds of one pass, of unequal k, have the bits of folds alone, and one's error is
// its own.
func TestFoldMany(t *testing.T) {
	for name, p := range map[string]Properties{"random": smallRandom(), "F16 with biases": smallWarm(F16, true),
		"F32": smallWarm(F32, false)} {
		t.Run(name, func(t *testing.T) {
			b := openBank(t, p)
			other := p
			other.N++
			masks := []*bitmask.Mask{randomMask(t, p, 3, 1), randomMask(t, other, 3, 2), randomMask(t, p, 9, 3),
				randomMask(t, p, p.N, 4)}
			affines := make([][]float32, len(masks))
			affines[2] = make([]float32, p.AffineElems())
			as, errs := b.FoldMany(masks, affines)
			for i, m := range masks {
				if m.N != p.N {
					if as[i] != nil || !errors.Is(errs[i], ErrInvalid) {
						t.Errorf("mask %d: got %v, %v, want ErrInvalid", i, as[i], errs[i])
					}
					continue
				}
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				wantFold(t, b, m, as[i])
				alone := fold(t, b, m, affines[i])
				for j, part := range parts(as[i]) {
					if !slices.Equal(part, parts(alone)[j]) {
						t.Errorf("mask %d, part %d: not the bits of the fold alone", i, j)
					}
				}
			}
		})
	}
}

// TestFoldAffine: the bank's own by default, else the profile's; it is a copy.
func TestFoldAffine(t *testing.T) {
	b := openBank(t, smallWarm(F32, false))
	p, m := b.Properties(), randomMask(t, b.Properties(), 2, 1)
	own := make([]float32, p.AffineElems())
	for i := range own {
		own[i] = float32(i)
	}
	for _, c := range []struct{ given, want []float32 }{{nil, b.Affine()}, {own, own}} {
		got := fold(t, b, m, c.given).Norm
		if !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
		if got[0]++; got[0] == c.want[0] {
			t.Error("got the affine itself, want a copy")
		}
	}
	if _, err := b.Fold(m, own[1:]); !errors.Is(err, ErrInvalid) {
		t.Errorf("an affine too short: got %v, want ErrInvalid", err)
	}
}

func TestFoldRefuses(t *testing.T) {
	b := openBank(t, smallRandom())
	other := smallRandom()
	other.N++
	empty, err := bitmask.New(20, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*bitmask.Mask{
		"another N": randomMask(t, other, 2, 1),
		"another L": randomMask(t, Properties{N: 20, Blocks: 3}, 2, 1),
		"no ones":   empty,
	} {
		if a, err := b.Fold(m, nil); !errors.Is(err, ErrInvalid) || a != nil {
			t.Errorf("%s: got %v, %v, want ErrInvalid", name, a, err)
		}
	}
	for name, ids := range map[string][]int32{"none": {}, "uneven": {1, 2, 3}, "below 0": {1, -1}, "N": {1, 20}} {
		if _, _, err := b.FoldRows(Down, 0, ids, 2); !errors.Is(err, ErrInvalid) {
			t.Errorf("rows %s: got %v, want ErrInvalid", name, err)
		}
	}
	_, _, block := b.FoldRows(Down, 2, []int32{1}, 1)
	_, _, profiles := b.FoldRows(Down, 0, []int32{1}, 0)
	_, _, rows := b.Rows(Side(2), 0)
	for i, err := range []error{block, profiles, rows} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("case %d: got %v, want ErrInvalid", i, err)
		}
	}
}

// TestFoldRowsOfSeveral: one call for many profiles gives what each fold gives, to the bit.
func TestFoldRowsOfSeveral(t *testing.T) {
	for _, p := range []Properties{smallRandom(), smallWarm(F16, true)} {
		b := openBank(t, p)
		masks := []*bitmask.Mask{randomMask(t, p, 4, 1), randomMask(t, p, 4, 2), randomMask(t, p, 4, 3)}
		var ids []int32
		for _, m := range masks {
			ids = m.Indices(Up, 1, ids)
		}
		weights, bias, err := b.FoldRows(Up, 1, ids, len(masks))
		if err != nil || (bias != nil) != p.Bias {
			t.Fatalf("got %d biases, %v", len(bias), err)
		}
		for i, m := range masks {
			a := fold(t, b, m, nil)
			n, nc := p.Elems(), p.BiasElems(Up)
			if !slices.Equal(weights[i*n:(i+1)*n], a.Up[n:]) || p.Bias &&
				!slices.Equal(bias[i*nc:(i+1)*nc], a.UpBias[nc:]) {
				t.Errorf("profile %d: not the bits of its fold", i)
			}
		}
	}
}

func TestRows(t *testing.T) {
	for _, p := range []Properties{smallRandom(), smallWarm(F32, true), smallWarm(F16, true)} {
		b := openBank(t, p)
		weights, biases, err := b.Rows(Down, 1)
		if err != nil {
			t.Fatal(err)
		}
		n, nb := p.Elems(), p.BiasElems(Down)
		if len(weights) != p.N*n || len(biases) != p.N*nb {
			t.Fatalf("got %d weights and %d biases, want %d and %d", len(weights), len(biases), p.N*n, p.N*nb)
		}
		for i := range p.N {
			want, bias := b.row(t, Down, 1, i)
			if !slices.Equal(weights[i*n:(i+1)*n], want) || !slices.Equal(biases[i*nb:(i+1)*nb], bias) {
				t.Errorf("row %d: got others than the file's", i)
			}
		}
		again, _, err := b.Rows(Down, 1)
		if err != nil || p.DType == F32 && &again[0] != &weights[0] {
			t.Errorf("%v %v: got a copy, want a view (%v)", p.Origin, p.DType, err)
		}
	}
}

// TestFoldChecksWhatItReads: a bad row fails the folds that read it and no others, and only rows
// that are read are checked.
func TestFoldChecksWhatItReads(t *testing.T) {
	const bad, k = 13, 3
	p := smallWarm(F32, true)
	data, _ := encodeBank(t, p, DefaultAffine(p), testRows(p))
	w, _ := newLayout(p).row(Up, 1, bad)
	data[w.off+5] ^= 0x10
	f, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	b := FromFile(f)
	defer b.Close()
	m := randomMask(t, p, k, 1)
	for _, side := range []Side{Down, Up} {
		for l := range p.Blocks {
			clear(m.Row(side, l))
			for i := range k {
				m.Row(side, l).Set(i)
			}
		}
	}
	wantFold(t, b, m, fold(t, b, m, nil))
	checked := 0
	for i := range f.checked {
		checked += bits.OnesCount64(f.checked[i].Load())
	}
	if want := 2 * p.Blocks * k; checked != want {
		t.Errorf("got %d rows checked, want the %d that were read", checked, want)
	}
	m.Row(Up, 1)[0] &^= 1
	m.Row(Up, 1).Set(bad)
	for range 2 {
		if a, err := b.Fold(m, nil); !errors.Is(err, ErrCorrupt) || a != nil {
			t.Errorf("got %v, %v, want ErrCorrupt", a, err)
		}
	}
	if _, _, err := b.Rows(Up, 1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Rows: got %v, want ErrCorrupt", err)
	}
	if _, _, err := b.FoldRows(Up, 1, []int32{bad}, 1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("FoldRows: got %v, want ErrCorrupt", err)
	}
}

func TestNewAdapter(t *testing.T) {
	for _, p := range []Properties{smallRandom(), smallWarm(F32, true), smallWarm(F16, false)} {
		a, n := p.NewAdapter(), 0
		for _, part := range parts(a) {
			n += len(part)
			if slices.ContainsFunc(part, func(v float32) bool { return v != 0 }) {
				t.Error("got a value, want zeros")
			}
		}
		if int64(4*n) != p.FoldedBytes() || (a.Norm != nil) != p.NormB || (a.DownBias != nil) != p.Bias ||
			(a.UpBias != nil) != p.Bias {
			t.Errorf("got %d values, want %d bytes of them", n, p.FoldedBytes())
		}
	}
}

func BenchmarkFold(b *testing.B) {
	p := Properties{Origin: Random, N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true, Seed: 1,
		SigmaA: 0.03, SigmaB: 0.05}
	bank := openBank(b, p)
	m := randomMask(b, p, 50, 1)
	fold(b, bank, m, nil)
	b.ReportAllocs()
	for b.Loop() {
		fold(b, bank, m, nil)
	}
}
