package digits

import (
	"cmp"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// data is a person's examples in an order that does not depend on how they were given, in float64.
type data struct {
	n, axes, classes, digits int       // digits: an axis of a row; twice those of a person's where pair
	order                    []int     // order[i] is where example i was in the Person
	key                      []uint64  // what an example is known by, see identity
	p                        []float64 // [n,A]
	u                        []float64 // [n,dim]: p in the coordinates of span, or p itself
	span                     []float64 // [dim,A]: orthonormal rows; nil where u is p
	dim                      int
	base                     []float64 // [n,C]
	class                    []int
	rejected                 []bool
	logistic                 bool
	pair                     bool // two labels that exclude each other: one row is the difference of theirs, see split
	weight                   []float64
}

func newData(p *Person) *data {
	n := len(p.Class)
	d := &data{n: n, axes: p.A, classes: p.C, digits: p.Digits, logistic: p.Logistic,
		pair: p.C == 2 && !p.Logistic, order: make([]int, n), key: make([]uint64, n)}
	if d.pair {
		d.digits *= 2
	}
	for i := range d.order {
		d.order[i], d.key[i] = i, identity(p, i)
	}
	keys := slices.Clone(d.key)
	slices.SortStableFunc(d.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(p.Class[a], p.Class[b]), cmp.Compare(keys[a], keys[b]))
	})
	for i, from := range d.order {
		d.key[i] = keys[from]
		d.p = append(d.p, numeric.Widen(p.P[from*p.A:(from+1)*p.A])...)
		d.base = append(d.base, numeric.Widen(p.Base[from*p.C:(from+1)*p.C])...)
		d.class, d.weight = append(d.class, p.Class[from]), append(d.weight, p.weight(from))
		d.rejected = append(d.rejected, p.Rejected != nil && p.Rejected[from])
	}
	d.reduce()
	return d
}

// identity is a hash of what example i is: its projections, its label and whether that was
// rejected.
func identity(p *Person, i int) uint64 {
	h := uint64(p.Class[i])
	if p.Rejected != nil && p.Rejected[i] {
		h |= 1 << 32
	}
	for _, v := range p.P[i*p.A : (i+1)*p.A] {
		h = mix(h ^ uint64(math.Float32bits(v)))
	}
	return h
}

// mix is the finalizer of SplitMix64: each bit of x changes about half of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// reduce turns p to an orthonormal basis of the examples' own span (Gram-Schmidt, each vector
// twice): the best z lies in it, and z·p and ‖z‖² are the same in its coordinates, of which there
// are at most n. With nearly as many examples as axes it would gain nothing.
func (d *data) reduce() {
	d.u, d.dim = d.p, d.axes
	if 4*d.n > 3*d.axes {
		return
	}
	span := numeric.Orthonormal(d.axes, d.n, func(row []float64, i int) { copy(row, d.row(i)) })
	d.span, d.dim = span, len(span)/d.axes
	d.u = make([]float64, d.n*d.dim)
	for i := range d.n {
		for k := range d.dim {
			d.u[i*d.dim+k] = numeric.Dot(d.row(i), span[k*d.axes:(k+1)*d.axes])
		}
	}
}

func (d *data) row(i int) []float64 { return d.p[i*d.axes : (i+1)*d.axes] }

// restore writes rows of width values, which are in data's order, in the person's.
func (d *data) restore(rows []float64, width int) []float32 {
	out := make([]float32, len(rows))
	for i, to := range d.order {
		for c, v := range rows[i*width : (i+1)*width] {
			out[to*width+c] = float32(v)
		}
	}
	return out
}
