package dense

import "fmt"

// Packed is b [k,n] in the order in which products read it: for whatever is used again and again.
type Packed struct {
	k, n int
	w    []float32 // panels of [k,tileCols], the last one filled up with zeros
}

// Pack copies b [k,n], whose entry (i,j) is b[i*brs+j*bcs].
func Pack(k, n int, b []float32, brs, bcs int) *Packed {
	if k < 1 || n < 1 {
		panic(fmt.Sprintf("dense: a packed matrix of %d × %d", k, n))
	}
	check("b", len(b), k, n, brs, bcs)
	p := &Packed{k: k, n: n, w: make([]float32, (n+tileCols-1)/tileCols*tileCols*k)}
	for j := range n {
		panel := p.w[j/tileCols*tileCols*k+j%tileCols:]
		for i := range k {
			panel[i*tileCols] = b[i*brs+j*bcs]
		}
	}
	return p
}

// Times is c [m,n] = a·b, or c += a·b with add, as by [Gemm]: a [m,k] has rows lda apart, c rows
// ldc apart.
func (p *Packed) Times(m int, a []float32, lda int, c []float32, ldc int, add bool) {
	if m == 0 {
		return
	}
	check("a", len(a), m, p.k, lda, 1)
	check("c", len(c), m, p.n, ldc, 1)
	all := matrix{m, p.k, a, lda, 1}
	for i := 0; i < m; i += rowBlock {
		rows := all.rows(i, min(rowBlock, m-i))
		for k := 0; k < p.k; k += depth {
			part := rows.cols(k, min(depth, p.k-k))
			for j := 0; j < p.n; j += tileCols {
				w, y, n := p.w[j*p.k+k*tileCols:], c[i*ldc+j:], min(tileCols, p.n-j)
				if fast {
					part.panel(n, w, tileCols, y, ldc, add || k > 0, p.k*tileCols)
				} else {
					part.times(n, w, tileCols, y, ldc, add || k > 0)
				}
			}
		}
	}
}
