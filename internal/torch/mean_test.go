//go:build cgo

package torch

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// halves of entries i/16 for |i| ≤ 1024: all of them are exact, and so are the sums of a few.
func halves(values []float32) []byte {
	var out []byte
	for _, v := range values {
		bits := math.Float32bits(v)
		h := uint16(bits>>16) & 0x8000
		if v != 0 {
			h |= uint16(int32(bits>>23&0xff)-112)<<10 | uint16(bits>>13)&0x3ff
		}
		out = binary.LittleEndian.AppendUint16(out, h)
	}
	return out
}

// TestMeanRows takes bags of unequal size, over rows longer than a piece of the sum, on both paths: in C and by operators.
func TestMeanRows(t *testing.T) {
	const n, width = 40, 1500
	ends := []int32{1, 5, 8, 20, 21}
	rng := rand.New(rand.NewPCG(1, 2))
	table := make([]float32, n*width)
	for i := range table {
		table[i] = float32(rng.IntN(2049)-1024) / 16
	}
	ids := make([]int32, ends[len(ends)-1])
	want := make([]float32, len(ends)*width)
	used, bag := map[int32]bool{}, 0
	for i := range ids {
		if int32(i) == ends[bag] {
			bag++
		}
		size := float32(ends[bag])
		if bag > 0 {
			size -= float32(ends[bag-1])
		}
		ids[i] = int32(rng.IntN(n))
		used[ids[i]] = true
		for j := range width {
			want[bag*width+j] += table[int(ids[i])*width+j] / size
		}
	}
	exact := halves(table)
	for i := range table { // a row that nobody names is not read: a NaN there would spread
		if !used[int32(i/width)] {
			table[i] = float32(math.NaN())
		}
	}
	e := open(t, Config{})
	do(t, e, func(s *Scope) {
		for name, rows := range map[string]Tensor{"float32": s.Float32s(table, n, width), "float16": s.Map(exact, Float16, n, width)} {
			before := len(s.owned)
			got := s.MeanRows(rows, ids, ends)
			t.Run(name, func(t *testing.T) {
				wantValues(t, s, got, want...)
				wantValues(t, s, s.meanByOperators(rows, ids, ends), want...)
			})
			if len(s.owned) != before+2 {
				t.Errorf("%s: got %d tensors more, want the two results", name, len(s.owned)-before)
			}
			for _, into := range []func([]Tensor, int64, Tensor, []int32, []int32){s.MeanRowsInto, s.intoByOperators} {
				var dst []Tensor
				for range ends {
					dst = append(dst, s.Zeros(Float32, 3, 2, width/2))
				}
				into(dst, 1, rows, ids, ends)
				for i, d := range dst {
					wantValues(t, s, s.Reshape(s.Select(d, 0, 1), width), want[i*width:(i+1)*width]...)
					for _, other := range []int64{0, 2} {
						wantValues(t, s, s.Reshape(s.Select(d, 0, other), width), make([]float32, width)...)
					}
				}
			}
		}
	})
}

// TestMeanOfHalves widens each finite half: normal, subnormal, zeros, both signs.
func TestMeanOfHalves(t *testing.T) {
	e := open(t, Config{Device: CPU})
	do(t, e, func(s *Scope) {
		var data []byte
		for h := range 1 << 16 {
			if h>>10&31 != 31 {
				data = binary.LittleEndian.AppendUint16(data, uint16(h))
			}
		}
		all := s.Map(data, Float16, 1, int64(len(data)/2))
		got, want := s.Values(s.MeanRows(all, []int32{0}, []int32{1})), s.Values(s.ToFloat32(all))
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("half %d: got %g, want %g", i, got[i], want[i])
			}
		}
	})
}

// TestMeanRowsAlone: a bag's bits are the same whatever is beside it.
func TestMeanRowsAlone(t *testing.T) {
	const n, width, k, bags = 30, 2500, 11, 6
	rng := rand.New(rand.NewPCG(3, 4))
	table := make([]float32, n*width)
	for i := range table {
		table[i] = rng.Float32() - 0.5
	}
	var ids, ends []int32
	for range bags {
		for range k {
			ids = append(ids, int32(rng.IntN(n)))
		}
		ends = append(ends, int32(len(ids)))
	}
	e := open(t, Config{Device: CPU})
	do(t, e, func(s *Scope) {
		rows := s.Float32s(table, n, width)
		all := s.Values(s.MeanRows(rows, ids, ends))
		for i := range bags {
			alone := s.Values(s.MeanRows(rows, ids[i*k:(i+1)*k], []int32{k}))
			for j := range alone {
				if alone[j] != all[i*width+j] {
					t.Fatalf("bag %d, value %d: got %g alone, %g among others", i, j, alone[j], all[i*width+j])
				}
			}
		}
	})
}

// TestMeanRowsRefuses: what is out of bounds must not reach C.
func TestMeanRowsRefuses(t *testing.T) {
	e := open(t, Config{})
	for name, f := range map[string]func(*Scope, Tensor){
		"a row below 0":       func(s *Scope, a Tensor) { s.MeanRows(a, []int32{-1}, []int32{1}) },
		"a row too many":      func(s *Scope, a Tensor) { s.MeanRows(a, []int32{4}, []int32{1}) },
		"no bags":             func(s *Scope, a Tensor) { s.MeanRows(a, nil, nil) },
		"an empty bag":        func(s *Scope, a Tensor) { s.MeanRows(a, []int32{0}, []int32{0, 1}) },
		"ids beyond the last": func(s *Scope, a Tensor) { s.MeanRows(a, []int32{0, 1}, []int32{1}) },
		"ends beyond the ids": func(s *Scope, a Tensor) { s.MeanRows(a, []int32{0}, []int32{2}) },
		"a table of integers": func(s *Scope, a Tensor) { s.MeanRows(s.Int64s([]int64{1, 2}, 2, 1), []int32{0}, []int32{1}) },
		"a table of one row":  func(s *Scope, a Tensor) { s.MeanRows(s.Select(a, 0, 0), []int32{0}, []int32{1}) },
		"a transposed table":  func(s *Scope, a Tensor) { s.MeanRows(s.Transpose(a, 0, 1), []int32{0}, []int32{1}) },
		"too few places": func(s *Scope, a Tensor) {
			s.MeanRowsInto([]Tensor{s.Zeros(Float32, 1, 3)}, 0, a, []int32{0, 1}, []int32{1, 2})
		},
		"a place too short": func(s *Scope, a Tensor) {
			s.MeanRowsInto([]Tensor{s.Zeros(Float32, 1, 2)}, 0, a, []int32{0}, []int32{1})
		},
		"a place too far": func(s *Scope, a Tensor) {
			s.MeanRowsInto([]Tensor{s.Zeros(Float32, 1, 3)}, 1, a, []int32{0}, []int32{1})
		},
		"a place of integers":  func(s *Scope, a Tensor) { s.MeanRowsInto([]Tensor{s.Zeros(Int64, 1, 3)}, 0, a, []int32{0}, []int32{1}) },
		"a place that is none": func(s *Scope, a Tensor) { s.MeanRowsInto([]Tensor{s.Zeros(Float32)}, 0, a, []int32{0}, []int32{1}) },
	} {
		err := e.Do(context.Background(), func(s *Scope) error {
			f(s, s.Zeros(Float32, 4, 3))
			return nil
		})
		var te *Error
		if !errors.As(err, &te) || te.Op != "mean rows" {
			t.Errorf("%s: got %v, want an *Error of mean rows", name, err)
		}
	}
}
