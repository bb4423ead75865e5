package dense

import (
	"math"
	"slices"
)

// GELU is x·Φ(x), in place, with the error function of [erf].
func GELU(x []float32) { each(x, gelu, geluKernel) }

// GELUTanh is GELU's approximation by tanh, in place.
func GELUTanh(x []float32) { each(x, geluTanh, geluTanhKernel) }

// Softmax is in place: at least one value.
func Softmax(s []float32) {
	if fastFuncs && len(s)%8 == 0 {
		softmaxKernel(len(s)/8, &s[0])
		return
	}
	most, sum := slices.Max(s), float32(0)
	for i, v := range s {
		s[i] = exp(v - most)
		sum += s[i]
	}
	for i := range s {
		s[i] *= 1 / sum
	}
}

// Norm is y = LN(x + z)·weight + bias, z nil for LN(x). y may be x or z.
func Norm(y, x, z, weight, bias []float32, eps float32) {
	d := len(y)
	same(d, len(x))
	same(d, len(weight))
	same(d, len(bias))
	if z != nil {
		same(d, len(z))
	}
	if fastFuncs && d > 0 && d%8 == 0 {
		by := &x[0]
		if z != nil {
			by = &z[0]
		}
		normKernel(d/8, &y[0], &x[0], by, &weight[0], &bias[0], eps, z != nil)
		return
	}
	var sum, square float32
	for i, v := range x {
		if z != nil {
			v += z[i]
		}
		y[i] = v
		sum += v
	}
	mean := sum / float32(d)
	for _, v := range y {
		square += (v - mean) * (v - mean)
	}
	by := 1 / float32(math.Sqrt(float64(square/float32(d)+eps)))
	for i, v := range y {
		y[i] = (v-mean)*by*weight[i] + bias[i]
	}
}

// each applies a function: 8 values at a time where there is a kernel, the last ones among zeros,
// so that a value's result does not depend on its place.
func each(x []float32, f func(float32) float32, kernel func(n int, x *float32)) {
	if !fastFuncs {
		for i, v := range x {
			x[i] = f(v)
		}
		return
	}
	n := len(x) &^ 7
	if n > 0 {
		kernel(n/8, &x[0])
	}
	if rest := x[n:]; len(rest) > 0 {
		var whole [8]float32
		copy(whole[:], rest)
		kernel(1, &whole[0])
		copy(rest, whole[:])
	}
}

func gelu(v float32) float32 { return 0.5 * v * (1 + erf(v*(1/math.Sqrt2))) }

func geluTanh(v float32) float32 {
	in := 0.7978845608028654 * (0.044715*(v*v*v) + v)
	return 0.5 * v * (1 + (1 - 2/(exp(2*in)+1)))
}

// exp is eˣ: x = n·ln 2 + r with |r| ≤ ln 2 / 2, and the Taylor series of e^r to r⁷, whose rest is
// below a float's last bit. NaN stays NaN.
func exp(x float32) float32 {
	const magic = 3 << 22 // a float of this size has no fraction
	if x > expMost {
		x = expMost
	}
	if x < expLeast {
		x = expLeast
	}
	n := float32(x*math.Log2E+magic) - magic
	r := x - n*ln2High - n*ln2Low
	p := float32(1. / 5040)
	for _, c := range taylor[1:] {
		p = p*r + c
	}
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// erf is the error function by Abramowitz and Stegun's 7.1.26: at most 1.5e-7 off.
func erf(x float32) float32 {
	a := math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
	t := 1 / (a*erfP + 1)
	p := erfA[0]
	for _, c := range erfA[1:] {
		p = p*t + c
	}
	y := 1 - p*t*exp(-(a*a))
	return math.Float32frombits(math.Float32bits(y) | math.Float32bits(x)&(1<<31))
}

const (
	expMost, expLeast = 88.3762626647949, -87.3365478515625
	ln2High, ln2Low   = 0.693359375, -2.12194440e-4
	erfP              = 0.3275911
)

var (
	taylor = [8]float32{1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 0.5, 1, 1}
	erfA   = [5]float32{1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592}
)
