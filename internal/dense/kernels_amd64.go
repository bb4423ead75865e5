package dense

// fast says that the kernels in assembly run here.
var fast, hasF16C = detect()

var fastFuncs = fast

const kernel = "avx2"

// detect is Intel's manual, volume 1, 14.3 and 14.7: the processor has the instructions and the
// system keeps the registers.
func detect() (avx2, f16c bool) {
	const fma, f16cBit, osxsave, avx, avx2Bit = 1 << 12, 1 << 29, 1 << 27, 1 << 28, 1 << 5
	most, _, _, _ := cpuid(0, 0)
	if most < 7 {
		return false, false
	}
	_, _, c, _ := cpuid(1, 0)
	if c&(fma|osxsave|avx) != fma|osxsave|avx || xgetbv()&6 != 6 {
		return false, false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&avx2Bit != 0, b&avx2Bit != 0 && c&f16cBit != 0
}

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv() (low uint32)

// tile is rows ≤ 6 by 16 entries of c = a·b, or += with add; k ≥ 1. Meanwhile it fetches the floats
// that lie ahead of b's rows.
//
//go:noescape
func tile(rows, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc int, add bool, ahead int)

//go:noescape
func dot(n int, a, b *float32) float32

//go:noescape
func axpy(n int, y *float32, alpha float32, x *float32)

// sum4 is sum += (a+b)+(c+d), and sum1 is sum += a, of 8·n values.
//
//go:noescape
func sum4(n int, sum, a, b, c, d *float32)

//go:noescape
func sum1(n int, sum, a *float32)

//go:noescape
func sum4Half(n int, sum *float32, a, b, c, d *uint16)

//go:noescape
func sum1Half(n int, sum *float32, a *uint16)

func add4(sum, a, b, c, d []float32) {
	n := 0
	if fast && len(sum) >= 8 {
		n = len(sum) &^ 7
		sum4(n/8, &sum[0], &a[0], &b[0], &c[0], &d[0])
	}
	add4Go(sum[n:], a[n:], b[n:], c[n:], d[n:])
}

func add1(sum, a []float32) {
	n := 0
	if fast && len(sum) >= 8 {
		n = len(sum) &^ 7
		sum1(n/8, &sum[0], &a[0])
	}
	add1Go(sum[n:], a[n:])
}

func add4Half(sum []float32, a, b, c, d []uint16) {
	n := 0
	if hasF16C && len(sum) >= 8 {
		n = len(sum) &^ 7
		sum4Half(n/8, &sum[0], &a[0], &b[0], &c[0], &d[0])
	}
	add4HalfGo(sum[n:], a[n:], b[n:], c[n:], d[n:])
}

func add1Half(sum []float32, a []uint16) {
	n := 0
	if hasF16C && len(sum) >= 8 {
		n = len(sum) &^ 7
		sum1Half(n/8, &sum[0], &a[0])
	}
	add1HalfGo(sum[n:], a[n:])
}
