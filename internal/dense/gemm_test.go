package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func random(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// near wants got within 1e-6 of the terms' sum of magnitudes, for each term that it is rounded
// with.
func near(t *testing.T, name string, got float32, want, magnitude float64, terms int) {
	t.Helper()
	if off := math.Abs(float64(got) - want); !(off <= 1e-7*magnitude*math.Sqrt(float64(terms+1))) {
		t.Errorf("%s: got %v, want %v (off by %.3g of %.3g)", name, got, want, off, magnitude)
	}
}

// product is one case: its operands lie within larger slices, whose other values must stay.
type product struct {
	m, n, k            int
	ars, acs, ldb, ldc int
	a, b, c            []float32
}

func newProduct(rng *rand.Rand, m, n, k int, transposed bool) product {
	p := product{m: m, n: n, k: k, ars: k + rng.IntN(3), acs: 1, ldb: n + rng.IntN(3), ldc: n + rng.IntN(3)}
	if transposed {
		p.ars, p.acs = 1, m+rng.IntN(3)
	}
	p.a, p.b, p.c = random(rng, span(m, k, p.ars, p.acs)), random(rng, span(k, n, p.ldb, 1)),
		random(rng, span(m, n, p.ldc, 1))
	return p
}

// span is how many values a matrix lies in.
func span(rows, cols, rs, cs int) int {
	if rows == 0 || cols == 0 {
		return 0
	}
	return (rows-1)*rs + (cols-1)*cs + 1
}

func (p product) run(c []float32, add bool) []float32 {
	c = slices.Clone(c)
	Gemm(p.m, p.n, p.k, p.a, p.ars, p.acs, p.b, p.ldb, c, p.ldc, add)
	return c
}

func (p product) packed(c []float32, add bool) []float32 {
	c = slices.Clone(c)
	Pack(p.k, p.n, p.b, p.ldb, 1).Times(p.m, p.a, p.ars, c, p.ldc, add)
	return c
}

// check compares with sums in float64, and wants what lies between the rows left alone.
func (p product) check(t *testing.T, got []float32, add bool) {
	t.Helper()
	written := make([]bool, len(got))
	for i := range p.m {
		for j := range p.n {
			at, sum, magnitude := i*p.ldc+j, 0.0, 0.0
			if add {
				sum = float64(p.c[at])
				magnitude = math.Abs(sum)
			}
			for l := range p.k {
				term := float64(p.a[i*p.ars+l*p.acs]) * float64(p.b[l*p.ldb+j])
				sum, magnitude = sum+term, magnitude+math.Abs(term)
			}
			near(t, fmt.Sprintf("%d × %d × %d, strides %d and %d, add %v: entry %d,%d", p.m, p.k, p.n, p.ars, p.acs,
				add, i, j), got[at], sum, magnitude, p.k)
			written[at] = true
		}
	}
	for at, v := range got {
		if !written[at] && v != p.c[at] {
			t.Errorf("%d × %d × %d: value %d, between the rows, was written", p.m, p.k, p.n, at)
		}
	}
}

var sizes = []int{0, 1, 2, 3, 5, 6, 7, 12, 13, 16, 17, 31, 32, 48, 97}

// TestGemm compares with float64, and each product with that of packed weights, to the bit.
func TestGemm(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		pick := func() int { return sizes[rng.IntN(len(sizes))] }
		cases := [][3]int{{0, 3, 3}, {3, 0, 3}, {3, 3, 0}, {1, 1, 1}, {101, 35, 7}, {7, 33, 389}, {13, 16, 769},
			{6, 16, 384}}
		for range 150 {
			cases = append(cases, [3]int{pick(), pick(), pick()})
		}
		for i, c := range cases {
			p := newProduct(rng, c[0], c[1], c[2], i%3 == 0)
			for _, add := range []bool{false, true} {
				got := p.run(p.c, add)
				p.check(t, got, add)
				if p.acs == 1 && p.n > 0 && p.k > 0 && !slices.Equal(p.packed(p.c, add), got) {
					t.Errorf("%v, add %v: packed weights give other bits", c, add)
				}
			}
		}
	})
}

// TestGemmAlone wants an entry's bits whatever rows and columns are beside it.
func TestGemmAlone(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, k := range []int{1, 48, 389} {
			p := newProduct(rng, 103, 53, k, false)
			all := p.run(p.c, false)
			for range 60 {
				i, j := rng.IntN(p.m), rng.IntN(p.n)
				m, n := 1+rng.IntN(p.m-i), 1+rng.IntN(p.n-j)
				some := make([]float32, m*n)
				Gemm(m, n, k, p.a[i*p.ars:], p.ars, 1, p.b[j:], p.ldb, some, n, false)
				for at, v := range some {
					if want := all[(i+at/n)*p.ldc+j+at%n]; v != want {
						t.Fatalf("k=%d: entry %d,%d among %d × %d: got %v, want %v", k, i+at/n, j+at%n, m, n, v, want)
					}
				}
			}
		}
	})
}

// TestGemmNotFinite: NaN and Inf reach the entries that they are part of, and no others.
func TestGemmNotFinite(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		for _, n := range []int{3, 16, 21} {
			p := newProduct(rand.New(rand.NewPCG(5, 6)), 8, n, 5, false)
			for i := range p.b {
				p.b[i] = max(p.b[i], -p.b[i])
			}
			p.a[2*p.ars+1], p.a[4*p.ars+2], p.b[3*p.ldb+1] = nan, inf, 0
			p.a[5*p.ars+3] = inf // times 0 is NaN
			c := p.run(p.c, false)
			for i := range p.m {
				for j := range n {
					v := float64(c[i*p.ldc+j])
					wantNaN, wantInf := i == 2 || i == 5 && j == 1, i == 4 || i == 5 && j != 1
					if math.IsNaN(v) != wantNaN || math.IsInf(v, 1) != wantInf {
						t.Errorf("n=%d: entry %d,%d is %v", n, i, j, v)
					}
				}
			}
		}
	})
}

// TestPanics: nothing outside of the slices is touched.
func TestPanics(t *testing.T) {
	x := make([]float32, 12)
	for want, f := range map[string]func(){
		"c of 3 × 4": func() { Gemm(3, 4, 1, x, 1, 1, x, 4, x[:11], 4, false) },
		"a of 3 × 4": func() { Gemm(3, 1, 4, x[:11], 4, 1, x, 1, make([]float32, 3), 1, false) },
		"b of 4 × 3": func() { Gemm(1, 3, 4, x, 4, 1, x[:11], 3, make([]float32, 3), 3, false) },
		"-1":         func() { Gemm(1, 1, -1, x, 1, 1, x, 1, x, 1, false) },
		"-4 and 1":   func() { Gemm(2, 1, 1, x, -4, 1, x, 1, x, 1, false) },
		"of 0 × 2":   func() { Pack(0, 2, x, 1, 1) },
		"b of 5 × 3": func() { Pack(5, 3, x, 3, 1) },
		"a of 4 × 4": func() { Pack(4, 3, x, 3, 1).Times(4, x, 4, x, 3, false) },
		"of 3 × 4 e": func() { Pack(4, 4, make([]float32, 16), 4, 1).Times(3, x, 4, x[:11], 4, false) },
		"12 and 11":  func() { Dot(x, x[1:]) },
		"11 and 12":  func() { Axpy(x[1:], 1, x) },
		"row 3 of 4": func() { Mean(make([]float32, 4), x, []int32{2, 3}) },
		"row -1 of":  func() { MeanHalf(make([]float32, 4), make([]uint16, 12), []int32{-1}) },
		"12 and 3":   func() { Norm(x, x, nil, x[:3], x, 0) },
	} {
		if said := panics(f); !strings.Contains(said, want) {
			t.Errorf("got %q, want a panic of %q", said, want)
		}
	}
}

func panics(f func()) (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	f()
	return ""
}

// FuzzGemm compares the kernels with plain loops.
func FuzzGemm(f *testing.F) {
	f.Add(uint64(1), uint8(7), uint8(17), uint16(400), true, false)
	f.Add(uint64(2), uint8(1), uint8(1), uint16(0), false, true)
	f.Fuzz(func(t *testing.T, seed uint64, m, n uint8, k uint16, transposed, add bool) {
		p := newProduct(rand.New(rand.NewPCG(seed, 0)), int(m)%128, int(n)%64, int(k)%800, transposed)
		p.check(t, p.run(p.c, add), add)
	})
}
