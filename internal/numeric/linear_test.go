package numeric

import (
	"math"
	"testing"
)

// TestEigen: a matrix is the sum of its eigenvectors' products, weighted by the eigenvalues, which
// fall; the vectors are orthonormal.
func TestEigen(t *testing.T) {
	want := []float64{4, 1, -2, 0, 1, 3, 0, 1, -2, 0, 3, -1, 0, 1, -1, 0}
	values, v := Eigen(append([]float64(nil), want...), 4)
	for i := range 4 {
		for j := range 4 {
			sum, product := 0.0, Dot(v[i*4:i*4+4], v[j*4:j*4+4])
			for k, value := range values {
				sum += value * v[k*4+i] * v[k*4+j]
			}
			if math.Abs(sum-want[i*4+j]) > 1e-12 {
				t.Errorf("entry (%d,%d): got %g, want %g", i, j, sum, want[i*4+j])
			}
			if i == j {
				product--
			}
			if math.Abs(product) > 1e-12 {
				t.Errorf("vectors %d and %d: off by %g from orthonormal", i, j, product)
			}
		}
		if i > 0 && values[i] > values[i-1] {
			t.Errorf("got the values %v, want them to fall", values)
		}
	}
}

// TestOrthonormal: vectors that depend on those before them are left out.
func TestOrthonormal(t *testing.T) {
	vectors := [][]float64{{3, 0, 4}, {6, 0, 8}, {0, 0, 0}, {3, 2, 4}, {1, 1, 1}}
	got := Orthonormal(3, len(vectors), func(row []float64, k int) { copy(row, vectors[k]) })
	want := []float64{0.6, 0, 0.8, 0, 1, 0, 0.8, 0, -0.6}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// TestParallel: each part is done once, whatever the threads.
func TestParallel(t *testing.T) {
	for _, threads := range []int{1, 3, 100} {
		done := make([]int, 17)
		Parallel(threads, len(done), 4, func(thread, from, to int) {
			if thread >= threads || to-from > 4 {
				t.Errorf("%d threads: got %d to %d on thread %d", threads, from, to, thread)
			}
			for i := from; i < to; i++ {
				done[i]++
			}
		})
		for i, n := range done {
			if n != 1 {
				t.Errorf("%d threads: %d was done %d times", threads, i, n)
			}
		}
	}
}
