package digits

import (
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// code is a rounded solution, or mean of solutions: w_c = s_c Σ_j ℓ_cj V_j for the labels of a
// fit's rows.
type code struct {
	level []float64 // ℓ [R,A]
	scale []byte    // [R], see Scale; 0: no row, as z was zero
	bias  []float64 // [R]
	proj  []float64 // p_i·ℓ_c of the fit's training examples, [train,R]
}

// Scale is what a scale byte stands for: 2^((byte − 160)/16), from 0.001 to 61 for 1 to 255.
func Scale(b byte) float64 { return math.Exp2((float64(b) - 160) / 16) }

// levels are the 2^M numbers ± 2^-1 ± … ± 2^-M of M digits: no zero, each step/2 away from the
// next.
type levels struct{ count, half, step float64 }

func newLevels(digits int) levels {
	count := math.Exp2(float64(digits))
	return levels{count: count, half: count / 2, step: 2 / count}
}

// nearest is the level nearest to v; the greater of two that are as near.
func (l levels) nearest(v float64) float64 {
	at := min(max((v+1)*l.half, 0), l.count-1)
	return (float64(int(at))+0.5)*l.step - 1
}

// bits appends a row's levels as digits: bit j·M + (m−1), least significant first in its byte, is
// 1 where digit m of axis j is plus.
func bits(dst []byte, level []float64, digits int) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, (len(level)*digits+7)/8)...)
	for j, v := range level {
		unit := int(math.Round(((v+1)*math.Exp2(float64(digits)) - 1) / 2)) // digit 1 is its highest bit
		for m := range digits {
			if unit>>(digits-1-m)&1 == 1 {
				bit := j*digits + m
				dst[at+bit/8] |= 1 << (bit % 8)
			}
		}
	}
	return dst
}

// split is the two rows of a pair's one, of half as many digits each, and their scale bytes: what
// it adds to label 1's logit is the first digits' on label 1 less the last digits' on label 0,
// whose scale is 2^-M of the other's.
func split(level []float64, digits int, scale byte) (rows [2][]byte, scales [2]byte) {
	high, low := make([]float64, len(level)), make([]float64, len(level))
	levels := newLevels(digits / 2)
	for j, v := range level {
		high[j] = levels.nearest(v)
		low[j] = (high[j] - v) * levels.count
	}
	rows = [2][]byte{bits(nil, low, digits/2), bits(nil, high, digits/2)}
	return rows, [2]byte{byte(max(int(scale)-8*digits, 1)), scale}
}

// roundRow writes to level those that are nearest to z at the scale that loses least in squares,
// and returns the scale's byte: 0 if z is zero. The best scale is between one and sixteen standard
// deviations of z's values.
func roundRow(level, z []float64, digits int) byte {
	deviation := math.Sqrt(numeric.Dot(z, z) / float64(len(z)))
	if deviation == 0 {
		return 0
	}
	from := byteOf(deviation)
	best, least, levels := from, math.Inf(1), newLevels(digits)
	for b := int(from); b <= min(int(from)+64, 255); b++ {
		s, lost := Scale(byte(b)), 0.0
		inverse := 1 / s
		for _, v := range z {
			e := v - s*levels.nearest(v*inverse)
			lost += e * e
		}
		if lost < least {
			best, least = byte(b), lost
		}
	}
	for j, v := range z {
		level[j] = levels.nearest(v / Scale(best))
	}
	return best
}

// byteOf is the scale byte nearest to s by its logarithm.
func byteOf(s float64) byte {
	if !(s > 0) {
		return 1
	}
	return byte(min(max(math.Round(160+16*math.Log2(s)), 1), 255))
}

// round turns a solution, or a mean of several, into a code: the levels nearest to z, refined; then
// scales and biases fitted to the solution's answers with the levels fixed, the scales rounded to
// bytes, and the biases once more.
func (f *fit) round(ctx context.Context, x []float64) (*code, error) {
	R, z := len(f.rows), f.z(x)
	c := &code{level: make([]float64, R*f.axes), scale: make([]byte, R), bias: make([]float64, R)}
	for r := range R {
		row := c.level[r*f.axes : (r+1)*f.axes]
		c.scale[r] = roundRow(row, z[r*f.axes:(r+1)*f.axes], f.digits)
	}
	probs := slices.Clone(f.probabilities(x))
	f.refine(c, z, probs)
	c.proj = f.project(c, f.train)
	copy(c.bias, x[R*f.dim:])
	if err := f.refit(ctx, c, z, probs); err != nil {
		return nil, err
	}
	return c, nil
}

// project is p_i·ℓ_c of the examples, [len(examples),R].
func (f *fit) project(c *code, examples []int) []float64 {
	out := make([]float64, 0, len(examples)*len(f.rows))
	for _, i := range examples {
		for r := range f.rows {
			out = append(out, numeric.Dot(f.row(i), c.level[r*f.axes:(r+1)*f.axes]))
		}
	}
	return out
}

// refit finds the scales and biases of the answers nearest to probs, then the biases with the
// scales as their bytes.
func (f *fit) refit(ctx context.Context, c *code, z, probs []float64) error {
	R := len(f.rows)
	x, t := make([]float64, 2*R), newTarget(c, z, probs, f.axes)
	for r, b := range c.scale {
		if b != 0 {
			x[r] = 1 // in units of the byte's scale
		}
	}
	copy(x[R:], c.bias)
	m := numeric.Minimizer{MaxSteps: 200, Gradient: 1e-7}
	if _, err := m.Run(ctx, x, func(x, g []float64) float64 { return f.coded(c, t, x, g, true) }); err != nil {
		return err
	}
	for r, b := range c.scale {
		if b != 0 {
			c.scale[r] = byteOf(x[r] * Scale(b))
		}
		x[r] = 1
	}
	_, err := m.Run(ctx, x, func(x, g []float64) float64 { return f.coded(c, t, x, g, false) })
	copy(c.bias, x[R:])
	return err
}

// target is the solution that a code stands for.
type target struct {
	probs       []float64 // [train,C]
	size, along []float64 // [R]: ‖ℓ_c‖² and ℓ_c·z_c
	bias        []float64 // [R]
}

func newTarget(c *code, z, probs []float64, axes int) *target {
	t := &target{probs: probs, bias: slices.Clone(c.bias)}
	for r := range c.scale {
		level := c.level[r*axes : (r+1)*axes]
		t.size = append(t.size, numeric.Dot(level, level))
		t.along = append(t.along, numeric.Dot(level, z[r*axes:(r+1)*axes]))
	}
	return t
}

// coded is how far a code is from its target, and the gradient:
//
//	−Σ_i w_i Σ_c p_ic log q_ic + ½·beyond·Σ_c (s_c²‖ℓ_c‖² − 2·s_c·ℓ_c·z_c) + ½λ_b‖b − b*‖²
//
// where p is the target's probabilities and b* its biases, q those of the code whose scales s are
// x[:R] times those of their bytes and whose biases b are x[R:]. The gradient of the scales is 0 if
// they are not free.
func (f *fit) coded(c *code, t *target, x, g []float64, free bool) float64 {
	R, value := len(f.rows), 0.0
	copy(f.logits, f.offset)
	for k, i := range f.train {
		logits := f.logits[k*f.classes : (k+1)*f.classes]
		for r, label := range f.rows {
			if c.scale[r] != 0 {
				logits[label] += x[r] * Scale(c.scale[r]) * c.proj[k*R+r]
			}
			logits[label] += x[R+r]
		}
		value += f.weight[i] * crossEntropy(logits, t.probs[k*f.classes:(k+1)*f.classes])
		for label := range logits {
			logits[label] *= f.weight[i]
		}
	}
	for r, label := range f.rows {
		unit := 0.0
		if c.scale[r] != 0 {
			unit = Scale(c.scale[r])
		}
		s, off := x[r]*unit, x[R+r]-t.bias[r]
		value += f.beyond/2*s*(s*t.size[r]-2*t.along[r]) + f.biased/2*off*off
		g[r], g[R+r] = f.beyond*unit*(s*t.size[r]-t.along[r]), f.biased*off
		for k := range f.train {
			residual := f.logits[k*f.classes+label]
			g[r] += residual * unit * c.proj[k*R+r]
			g[R+r] += residual
		}
		if !free {
			g[r] = 0
		}
	}
	return value
}

// crossEntropy is −Σ p log q of q = softmax(logits), which it overwrites with its derivatives by
// them, q − p.
func crossEntropy(logits, p []float64) float64 {
	mean := 0.0
	for c, v := range p {
		if v > 0 {
			mean += v * logits[c]
		}
	}
	lse := numeric.Softmax(logits)
	for c, v := range p {
		logits[c] -= v
	}
	return lse - mean
}

// predict is log p of an example by a code: the softmax of base + prior + b + s·ℓ·p, [C].
func (f *fit) predict(c *code, i int, prior []float64) []float64 {
	logits := f.offsets(i, prior)
	for r, label := range f.rows {
		logits[label] += c.bias[r]
		if c.scale[r] != 0 {
			logits[label] += Scale(c.scale[r]) * numeric.Dot(f.row(i), c.level[r*f.axes:(r+1)*f.axes])
		}
	}
	return logSoftmax(logits)
}

// logSoftmax is log p of logits, in place.
func logSoftmax(logits []float64) []float64 {
	p := append([]float64(nil), logits...)
	lse := numeric.Softmax(p)
	for c := range logits {
		logits[c] -= lse
	}
	return logits
}

// Round is the row of digits that is nearest to z, of so many digits an axis, and its scale byte: 0
// if z is zero, and then there is no row.
func Round(z []float64, digits int) (row []byte, scale byte) {
	level := make([]float64, len(z))
	if scale = roundRow(level, z, digits); scale == 0 {
		return nil, 0
	}
	return bits(nil, level, digits), scale
}
