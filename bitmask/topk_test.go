package bitmask

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sortTopK is the obvious way: a stable sort by falling value.
func sortTopK(logits []float32, k int) []int32 {
	idx := make([]int32, len(logits))
	for i := range idx {
		idx[i] = int32(i)
	}
	slices.SortStableFunc(idx, func(a, b int32) int {
		switch x, y := logits[a], logits[b]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	top := idx[:k]
	slices.Sort(top)
	return top
}

func TestTopKCases(t *testing.T) {
	inf, zero := float32(math.Inf(1)), float32(0)
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []struct {
		name   string
		logits []float32
		k      int
		want   []int32
	}{
		{"one", []float32{3}, 1, []int32{0}},
		{"order", []float32{1, 3, 2}, 2, []int32{1, 2}},
		{"ties go low", []float32{1, 2, 1, 2, 1}, 3, []int32{0, 1, 3}},
		{"all equal", []float32{5, 5, 5, 5}, 2, []int32{0, 1}},
		{"zeros are equal", []float32{negZero, zero, negZero}, 2, []int32{0, 1}},
		{"negative", []float32{-3, -1, -2}, 1, []int32{1}},
		{"infinities", []float32{-inf, 0, inf}, 2, []int32{1, 2}},
		{"all", []float32{1, 2, 3}, 3, []int32{0, 1, 2}},
		{"subnormal", []float32{math.SmallestNonzeroFloat32, 0, -1}, 1, []int32{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := make(Row, RowBytes(len(c.logits)))
			row[0] = 0xff // an old row is overwritten
			if err := TopK(c.logits, c.k, row); err != nil {
				t.Fatal(err)
			}
			if got := row.AppendIndices(nil); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestTopKRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		n := 1 + r.IntN(300)
		k := 1 + r.IntN(n)
		logits := make([]float32, n)
		few := r.IntN(2) == 0 // few different values: many ties
		for i := range logits {
			if few {
				logits[i] = float32(r.IntN(4)) - 2
			} else {
				logits[i] = float32(r.NormFloat64())
			}
		}
		row := make(Row, RowBytes(n))
		if err := TopK(logits, k, row); err != nil {
			t.Fatal(err)
		}
		if got, want := row.AppendIndices(nil), sortTopK(logits, k); !slices.Equal(got, want) {
			t.Fatalf("n=%d k=%d: got %v, want %v", n, k, got, want)
		}
	}
}

func TestTopKErrors(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		logits []float32
		k, row int
		want   error
	}{
		{"NaN", []float32{1, nan}, 1, 1, ErrNaN},
		{"none", nil, 1, 0, ErrDims},
		{"k is 0", []float32{1}, 0, 1, ErrDims},
		{"k over n", []float32{1}, 2, 1, ErrDims},
		{"short row", make([]float32, 9), 1, 1, ErrDims},
		{"long row", make([]float32, 8), 1, 2, ErrDims},
		{"too many", make([]float32, MaxAdapters+1), 1, MaxAdapters/8 + 1, ErrDims},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := make(Row, c.row)
			if err := TopK(c.logits, c.k, row); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if row.Count() != 0 {
				t.Error("got a changed row, want it untouched")
			}
		})
	}
}

func TestTopKAllocations(t *testing.T) {
	logits, row := randomLogits(400), make(Row, 50)
	if got := testing.AllocsPerRun(100, func() { _ = TopK(logits, 50, row) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func randomLogits(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
	}
	return logits
}

func BenchmarkTopK(b *testing.B) {
	for _, n := range []int{150, 400, 65536} {
		b.Run(fmt.Sprintf("N=%d", n), func(b *testing.B) {
			logits, row := randomLogits(n), make(Row, RowBytes(n))
			b.ReportAllocs()
			for b.Loop() {
				_ = TopK(logits, 50, row)
			}
		})
	}
}
