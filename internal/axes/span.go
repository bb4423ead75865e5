package axes

import (
	"context"
	"math"
	"runtime"

	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/philox"
)

// Streams of random numbers: the last word of a Philox counter.
const (
	streamWords = iota
	streamStart
	streamTurn
)

// powers is how often the block of vectors is multiplied by the covariance: with half as many
// vectors more than are wanted, what is missed of the span has next to no variance.
const powers = 6

// leastVariance is of an axis, as a share of the first principal axis': what is below is rounding.
const leastVariance = 1e-9

// principalSpan returns an orthonormal basis, [count,dim], of the space of the first count
// principal axes of x, [n,dim], whose mean is 0, or of fewer if x varies along fewer: by powers of
// its covariance on a block of random vectors, and the eigenvectors of what the covariance is in
// their span.
func principalSpan(ctx context.Context, x []float32, dim, count int, seed uint64) ([]float64, error) {
	cov := covariance(x, dim)
	size := min(dim, count+count/2+8)
	q := gaussians(seed, streamStart, size*dim)
	for range powers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		orthonormalise(q, dim)
		q = timesTransposed(q, cov, dim)
	}
	orthonormalise(q, dim)
	small := timesTransposed(q, timesTransposed(q, cov, dim), dim) // [size,size]
	values, vectors := numeric.Eigen(small, size)
	if !(values[0] > 0 && values[0] < math.Inf(1)) {
		return nil, invalidf("the states have the variance %g", values[0])
	}
	for values[count-1] < leastVariance*values[0] {
		count--
	}
	return timesTransposed(vectors[:count*size], transposed(q, dim), size), nil
}

// covariance is xᵀx/n, [dim,dim].
func covariance(x []float32, dim int) []float64 {
	n, columns := len(x)/dim, transposed(numeric.Widen(x), dim)
	cov := timesTransposed(columns, columns, n)
	for i := range cov {
		cov[i] /= float64(n)
	}
	return cov
}

// timesTransposed is a·bᵀ, [len(a)/n,len(b)/n], of rows of n values.
func timesTransposed(a, b []float64, n int) []float64 {
	rows, columns := len(a)/n, len(b)/n
	out := make([]float64, rows*columns)
	const strip = 4 // rows of a that stay in the cache
	numeric.Parallel(runtime.GOMAXPROCS(0), rows, strip, func(_, from, to int) {
		for j := 0; j < columns; j += 2 {
			k := min(j+1, columns-1) // where there is no second, the first is done twice
			for i := from; i < to; i += 2 {
				h := min(i+1, to-1)
				out[i*columns+j], out[i*columns+k], out[h*columns+j],
					out[h*columns+k] = dots(a[i*n:][:n], a[h*n:][:n], b[j*n:][:n], b[k*n:][:n])
			}
		}
	})
	return out
}

// dots are w·y, w·z, x·y and x·z.
func dots(w, x, y, z []float64) (wy, wz, xy, xz float64) {
	x, y, z = x[:len(w)], y[:len(w)], z[:len(w)]
	for i, v := range w {
		wy += v * y[i]
		wz += v * z[i]
		xy += x[i] * y[i]
		xz += x[i] * z[i]
	}
	return wy, wz, xy, xz
}

func square(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

func transposed(a []float64, columns int) []float64 {
	rows := len(a) / columns
	out := make([]float64, len(a))
	for i := range rows {
		for j := range columns {
			out[j*rows+i] = a[i*columns+j]
		}
	}
	return out
}

// orthonormalise makes the rows of a, of n values, orthonormal by Gram and Schmidt's method, which
// of Gaussian rows gives a random orthogonal matrix. It goes over each row twice, for accuracy. A
// row of zeros stays.
func orthonormalise(a []float64, n int) {
	for i := 0; i < len(a); i += n {
		row := a[i : i+n]
		for range 2 {
			onto := timesTransposed(a[:i], row, n)
			for j, f := range onto {
				for k, x := range a[j*n:][:n] {
					row[k] -= f * x
				}
			}
			length := math.Sqrt(square(row))
			for k := range row {
				row[k] /= max(length, math.SmallestNonzeroFloat64)
			}
		}
	}
}

// gaussians are normal numbers of a seed, by Box and Muller's method: two of each pair of words.
func gaussians(seed uint64, stream uint32, count int) []float64 {
	keys, dst := philox.New(seed), make([]float64, count)
	uniform := func(w uint32) float64 { return (float64(w) + 0.5) / (1 << 32) }
	for i := range dst {
		w0, w1, _, _ := keys.Block(uint32(i/2), 0, 0, stream)
		r, phi := math.Sqrt(-2*math.Log(uniform(w0))), 2*math.Pi*uniform(w1)
		if i%2 == 0 {
			dst[i] = r * math.Cos(phi)
		} else {
			dst[i] = r * math.Sin(phi)
		}
	}
	return dst
}
