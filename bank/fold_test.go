//go:build cgo

package bank

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/internal/torchtest"
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

func wantFold(t testing.TB, e *torch.Engine, b *Bank, m *bitmask.Mask, f *Folded) {
	t.Helper()
	for side, h := range map[Side][2]*torch.Held{Down: {f.down, f.biasA}, Up: {f.up, f.biasB}} {
		weights, bias := average(t, b, m, side)
		wantClose(t, side.String(), values(t, e, h[0]), weights)
		wantClose(t, side.String()+" bias", values(t, e, h[1]), bias)
	}
}

func TestFoldAgainstGo(t *testing.T) {
	e := torchtest.Open(t)
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
				f := fold(t, b, e, m, nil)
				wantFold(t, e, b, m, f)
				n := int64(0)
				for _, h := range f.parts() {
					n += 4 * int64(len(values(t, e, h)))
				}
				if f.Bytes() != n {
					t.Errorf("Bytes: got %d, want %d", f.Bytes(), n)
				}
			}
		})
	}
}

// TestFoldMany: folds of one pass, of unequal k, have the bits of folds alone, and one's error is its own.
func TestFoldMany(t *testing.T) {
	e := torchtest.Open(t)
	for name, p := range map[string]Properties{"random": smallRandom(), "F16 with biases": smallWarm(F16, true), "F32": smallWarm(F32, false)} {
		t.Run(name, func(t *testing.T) {
			b := openBank(t, p)
			other := p
			other.N++
			masks := []*bitmask.Mask{randomMask(t, p, 3, 1), randomMask(t, other, 3, 2), randomMask(t, p, 9, 3), randomMask(t, p, p.N, 4)}
			affines := make([][]float32, len(masks))
			affines[2] = make([]float32, p.AffineElems())
			var fs []*Folded
			var errs []error
			err := e.Do(context.Background(), func(s *torch.Scope) error {
				fs, errs = b.FoldMany(s, masks, affines)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range masks {
				if m.N != p.N {
					if fs[i] != nil || !errors.Is(errs[i], ErrInvalid) {
						t.Errorf("mask %d: got %v, %v, want ErrInvalid", i, fs[i], errs[i])
					}
					continue
				}
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				defer fs[i].Free()
				wantFold(t, e, b, m, fs[i])
				alone := fold(t, b, e, m, affines[i])
				for j, h := range fs[i].parts() {
					if got, want := values(t, e, h), values(t, e, alone.parts()[j]); !slices.Equal(got, want) {
						t.Errorf("mask %d, part %d: not the bits of the fold alone", i, j)
					}
				}
			}
		})
	}
}

// TestFoldAffine: the bank's own by default, else the profile's.
func TestFoldAffine(t *testing.T) {
	e := torchtest.Open(t)
	b := openBank(t, smallWarm(F32, false))
	p, m := b.Properties(), randomMask(t, b.Properties(), 2, 1)
	own := make([]float32, p.AffineElems())
	for i := range own {
		own[i] = float32(i)
	}
	for _, c := range []struct{ given, want []float32 }{{nil, b.Affine()}, {own, own}} {
		got := values(t, e, fold(t, b, e, m, c.given).norm)
		for i := range got {
			if got[i] != c.want[i] {
				t.Fatalf("got %v, want %v", got, c.want)
			}
		}
	}
	if _, err := doFold(b, e, m, own[1:]); !errors.Is(err, ErrInvalid) {
		t.Errorf("an affine too short: got %v, want ErrInvalid", err)
	}
}

func TestFoldRefuses(t *testing.T) {
	e := torchtest.Open(t)
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
		if f, err := doFold(b, e, m, nil); !errors.Is(err, ErrInvalid) || f != nil {
			t.Errorf("%s: got %v, %v, want ErrInvalid", name, f, err)
		}
	}
	for name, ids := range map[string][]int32{"none": {}, "uneven": {1, 2, 3}, "below 0": {1, -1}, "N": {1, 20}} {
		err := e.Do(context.Background(), func(s *torch.Scope) error {
			_, _, err := b.FoldRows(s, Down, 0, ids, 2)
			return err
		})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("rows %s: got %v, want ErrInvalid", name, err)
		}
	}
}

// TestFoldRowsOfSeveral: one call for many profiles gives what each fold gives.
func TestFoldRowsOfSeveral(t *testing.T) {
	e := torchtest.Open(t)
	for _, p := range []Properties{smallRandom(), smallWarm(F16, true)} {
		b := openBank(t, p)
		masks := []*bitmask.Mask{randomMask(t, p, 4, 1), randomMask(t, p, 4, 2), randomMask(t, p, 4, 3)}
		var ids []int32
		for _, m := range masks {
			ids = m.Indices(Up, 1, ids)
		}
		var weights, bias []float32
		err := e.Do(context.Background(), func(s *torch.Scope) error {
			w, c, err := b.FoldRows(s, Up, 1, ids, len(masks))
			if err != nil {
				return err
			}
			if weights = s.Values(w); p.Bias {
				bias = s.Values(c)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range masks {
			w, c := average(t, b, m, Up)
			n, nc := p.Elems(), p.BiasElems(Up)
			wantClose(t, "weights", weights[i*n:(i+1)*n], w[n:])
			wantClose(t, "bias", bias[i*nc:(i+1)*nc], c[nc:])
		}
	}
}

func TestRows(t *testing.T) {
	e := torchtest.Open(t)
	for _, p := range []Properties{smallRandom(), smallWarm(F32, true), smallWarm(F16, true)} {
		b := openBank(t, p)
		err := e.Do(context.Background(), func(s *torch.Scope) error {
			w, c, err := b.Rows(s, Down, 1)
			if err != nil {
				return err
			}
			weights, n := s.Values(w), p.Elems()
			for i := range p.N {
				want, bias := b.row(t, Down, 1, i)
				for j := range want {
					if got := weights[i*n+j]; got != want[j] {
						t.Fatalf("row %d: got %g, want %g", i, got, want[j])
					}
				}
				for j := range bias {
					if got := s.Values(c)[i*len(bias)+j]; got != bias[j] {
						t.Fatalf("bias %d: got %g, want %g", i, got, bias[j])
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestFoldChecksWhatItReads: a bad row fails the folds that read it and no others, and only rows that are read are checked.
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
	e := torchtest.Open(t)
	b := FromFile(f)
	defer b.Close()
	m := randomMask(t, p, k, 1)
	for _, side := range []Side{Down, Up} {
		for l := range p.Blocks {
			m.Row(side, l).Reset()
			for i := range k {
				m.Row(side, l).Set(i)
			}
		}
	}
	good := fold(t, b, e, m, nil)
	wantFold(t, e, b, m, good)
	checked := 0
	for i := range f.checked {
		checked += bits.OnesCount64(f.checked[i].Load())
	}
	if want := 2 * p.Blocks * k; checked != want {
		t.Errorf("got %d rows checked, want the %d that were read", checked, want)
	}
	before := e.Live()
	m.Row(Up, 1).Clear(0)
	m.Row(Up, 1).Set(bad)
	for range 2 {
		if f, err := doFold(b, e, m, nil); !errors.Is(err, ErrCorrupt) || f != nil {
			t.Errorf("got %v, %v, want ErrCorrupt", f, err)
		}
	}
	err = e.Do(context.Background(), func(s *torch.Scope) error { _, _, err := b.Rows(s, Up, 1); return err })
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("Rows: got %v, want ErrCorrupt", err)
	}
	if e.Live() != before {
		t.Errorf("got %d more live handles after errors, want 0", e.Live()-before)
	}
}

// TestFoldScope: many folds in one closure leave nothing behind in it but what it must read.
func TestFoldScope(t *testing.T) {
	e := torchtest.Open(t)
	b := openBank(t, smallWarm(F16, true))
	m := randomMask(t, b.props, 5, 1)
	err := e.Do(context.Background(), func(s *torch.Scope) error {
		if err := b.Materialise(s); err != nil {
			return err
		}
		before := e.Live()
		for range 3 {
			f, err := b.Fold(s, m, nil)
			if err != nil {
				return err
			}
			f.Free()
			f.Free()
		}
		if got := e.Live() - before; got != 0 {
			t.Errorf("got %d live handles after folds that were freed, want 0", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	(*Folded)(nil).Free()
}

func BenchmarkFold(b *testing.B) {
	p := Properties{Origin: Random, N: 150, Blocks: 6, Hidden: 384, Bottleneck: 24, NormB: true, Seed: 1, SigmaA: 0.03, SigmaB: 0.05}
	e, bank := torchtest.Open(b), openBank(b, p)
	m := randomMask(b, p, 50, 1)
	fold(b, bank, e, m, nil)
	b.ReportAllocs()
	for b.Loop() {
		f, err := doFold(bank, e, m, nil)
		if err != nil {
			b.Fatal(err)
		}
		f.Free()
	}
}
