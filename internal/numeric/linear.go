package numeric

import (
	"cmp"
	"math"
	"slices"
)

// Orthonormal is a basis of what n vectors span, [·,d], by Gram-Schmidt, each vector twice; those
// that depend on the ones before it are left out.
func Orthonormal(d, n int, vector func(row []float64, k int)) (basis []float64) {
	basis = []float64{}
	row := make([]float64, d)
	for k := range n {
		vector(row, k)
		size := math.Sqrt(Dot(row, row))
		for range 2 {
			for at := 0; at < len(basis); at += d {
				q := basis[at : at+d]
				Add(row, -Dot(row, q), q)
			}
		}
		if rest := math.Sqrt(Dot(row, row)); rest > 1e-9*size {
			for _, v := range row {
				basis = append(basis, v/rest)
			}
		}
	}
	return basis
}

// Eigen returns the eigenvalues of a symmetric matrix, largest first, and its eigenvectors as
// rows, by Jacobi's rotations. It overwrites a.
func Eigen(a []float64, n int) (values, vectors []float64) {
	v := make([]float64, n*n)
	for i := range n {
		v[i*n+i] = 1
	}
	for range 30 { // sweeps: six to ten are enough
		if !sweep(a, v, n) {
			break
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(a[j*n+j], a[i*n+i]) })
	for _, i := range order {
		values = append(values, a[i*n+i])
		vectors = append(vectors, v[i*n:][:n]...)
	}
	return values, vectors
}

// sweep rotates away each entry off the diagonal that is not negligible, and says whether one was.
func sweep(a, v []float64, n int) (rotated bool) {
	for p := range n {
		for q := p + 1; q < n; q++ {
			apq := a[p*n+q]
			if math.Abs(apq) <= 1e-12*math.Sqrt(math.Abs(a[p*n+p]*a[q*n+q])) {
				continue
			}
			rotated = true
			theta := (a[q*n+q] - a[p*n+p]) / (2 * apq)
			t := 1 / (math.Abs(theta) + math.Sqrt(theta*theta+1))
			if theta < 0 {
				t = -t
			}
			c := 1 / math.Sqrt(t*t+1)
			rotate(a, v, n, p, q, c, c*t)
		}
	}
	return rotated
}

// rotate is a ← JᵀaJ and v ← Jᵀv. The rows are turned, and the columns copied from them.
func rotate(a, v []float64, n, p, q int, c, s float64) {
	app, aqq, apq := a[p*n+p], a[q*n+q], a[p*n+q]
	turn(a[p*n:][:n], a[q*n:][:n], c, s)
	turn(v[p*n:][:n], v[q*n:][:n], c, s)
	a[p*n+p], a[q*n+q] = c*c*app-2*c*s*apq+s*s*aqq, s*s*app+2*c*s*apq+c*c*aqq
	a[p*n+q], a[q*n+p] = 0, 0
	for k := range n {
		a[k*n+p], a[k*n+q] = a[p*n+k], a[q*n+k]
	}
}

func turn(x, y []float64, c, s float64) {
	for i, xi := range x {
		x[i], y[i] = c*xi-s*y[i], s*xi+c*y[i]
	}
}
