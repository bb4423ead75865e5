package dense

import "fmt"

// A tile is tileRows × tileCols entries of c, summed in registers. A block of rowBlock rows of a
// stays in the second cache, a panel of depth rows of b in the first.
const (
	tileRows = 6
	tileCols = 16
	rowBlock = 96
	depth    = 384
)

// Gemm is c [m,n] = a·b, or c += a·b with add. a's entry (i,k) is a[i*ars+k*acs]; b [k,n] has rows
// ldb apart, c rows ldc apart. An entry of c is summed in the order of k whatever m and n are: it
// has the same bits alone and in a batch. It panics on what does not lie within the slices. c must
// not overlap a or b.
func Gemm(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, add bool) {
	if m < 0 || n < 0 || k < 0 {
		panic(fmt.Sprintf("dense: a product of %d × %d × %d", m, k, n))
	}
	if m == 0 || n == 0 {
		return
	}
	check("c", len(c), m, n, ldc, 1)
	if k == 0 {
		for i := 0; i < m && !add; i++ {
			clear(c[i*ldc:][:n])
		}
		return
	}
	check("a", len(a), m, k, ars, acs)
	check("b", len(b), k, n, ldb, 1)
	x := matrix{m, k, a, ars, acs}
	if !fast {
		x.times(n, b, ldb, c, ldc, add)
		return
	}
	for i := 0; i < m; i += rowBlock {
		rows := x.rows(i, min(rowBlock, m-i))
		for j := 0; j < n; j += tileCols {
			rows.panels(min(tileCols, n-j), b[j:], ldb, c[i*ldc+j:], ldc, add)
		}
	}
}

// matrix is a: entry (i,k) is v[i*rs+k*cs].
type matrix struct {
	m, k   int
	v      []float32
	rs, cs int
}

func (x matrix) rows(from, n int) matrix { x.v, x.m = x.v[from*x.rs:], n; return x }

func (x matrix) cols(from, n int) matrix { x.v, x.k = x.v[from*x.cs:], n; return x }

// times is the product by plain loops.
func (x matrix) times(n int, b []float32, ldb int, c []float32, ldc int, add bool) {
	for i := range x.m {
		y := c[i*ldc:][:n]
		if !add {
			clear(y)
		}
		for k := range x.k {
			v := x.v[i*x.rs+k*x.cs]
			for j, w := range b[k*ldb:][:n] {
				y[j] += v * w
			}
		}
	}
}

// few rows use a panel of b so seldom that it is not copied.
const few = 2 * tileRows

// panels is up to tileCols columns of c. A panel of b is read where it lies if its rows are whole
// and either adjacent or used by few rows; else from a copy.
func (x matrix) panels(n int, b []float32, ldb int, c []float32, ldc int, add bool) {
	if n == tileCols && (ldb == tileCols || x.m <= few) {
		for k := 0; k < x.k; k += depth {
			part := x.cols(k, min(depth, x.k-k))
			part.panel(n, b[k*ldb:], ldb, c, ldc, add || k > 0, tileCols)
		}
		return
	}
	var panel [depth * tileCols]float32
	for k := 0; k < x.k; k += depth {
		part := x.cols(k, min(depth, x.k-k))
		for i := range part.k {
			copy(panel[i*tileCols:][:n], b[(k+i)*ldb:][:n])
		}
		part.panel(n, panel[:], tileCols, c, ldc, add || k > 0, 0)
	}
}

// panel is n columns of c from whole rows of tileCols values of b, which are ldb apart. ahead is
// how far behind b the next panel lies: it is fetched meanwhile.
func (x matrix) panel(n int, b []float32, ldb int, c []float32, ldc int, add bool, ahead int) {
	for i := 0; i < x.m; i += tileRows {
		rows, a, y := min(tileRows, x.m-i), x.v[i*x.rs:], c[i*ldc:]
		if n == tileCols {
			tile(rows, x.k, &a[0], x.rs, x.cs, &b[0], ldb, &y[0], ldc, add, ahead)
			continue
		}
		var whole [tileRows * tileCols]float32
		for r := 0; r < rows && add; r++ {
			copy(whole[r*tileCols:], y[r*ldc:][:n])
		}
		tile(rows, x.k, &a[0], x.rs, x.cs, &b[0], ldb, &whole[0], tileCols, add, ahead)
		for r := range rows {
			copy(y[r*ldc:][:n], whole[r*tileCols:])
		}
	}
}
