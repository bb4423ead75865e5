package native

import (
	"math"

	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/model"
)

// last is the encoder's last block from its adapter on, and the pooling, for one text of T tokens:
//
//	h = LN(r)                       [T,d]  r = f + a: the stem
//	z = hÂ + c_A                    [T,b]
//	n = LN_b(z)                     [T,b]  where the bank has it, else z
//	v = act(n)                      [T,b]
//	u = vB̂ + c_B                    [T,d]
//	y = LN(u + r)                   [T,d]
//	e = mean of y, or y of [CLS]    [d]
//	x = e, or tanh(We + c)          [d]
//
// Of a pooling that reads [CLS] alone, T is 1: nothing else reaches x. Where the states themselves
// are asked for, x is the mean of y whatever the pooling is.
type last struct {
	d            int
	w, c         []float32 // LN's, [d]
	eps          float32
	mean         bool
	poolW, poolC []float32 // [d,d], [d]: the pooler's, or nil
	ones         []float32
}

func newLast(enc *model.Encoder, widest int, states bool) *last {
	l := &last{d: enc.Hidden(), mean: states || enc.Pooling() == model.PoolMean}
	l.w, l.c, l.eps = enc.OuterNorm(enc.Blocks() - 1)
	if !l.mean {
		l.poolW, l.poolC = enc.Pooler()
	}
	l.ones = make([]float32, max(l.d, widest))
	for i := range l.ones {
		l.ones[i] = 1
	}
	return l
}

// pass is what the way down needs of the way up. The slices are a scratch's.
type pass struct {
	*last
	a       *model.Adapter
	T, b    int
	r, h    []float32 // [T,d]
	zhat, v []float32 // [T,b]: LN_b's standardized z, and act(n)
	bySigma []float32 // [T], of LN_b
	yhat    []float32 // [T,d]: LN's standardized u + r
	by      []float32 // [T], of LN
	x       []float32 // [d]
}

// forward is x of a stem r [tokens,d]; a may be nil, for the bare encoder.
func (l *last) forward(r []float32, a *model.Adapter, s *scratch) *pass {
	p := &pass{last: l, a: a, T: len(r) / l.d, r: r}
	if !l.mean {
		p.T, p.r = 1, r[:l.d]
	}
	p.by, p.yhat = s.take(p.T), s.take(p.T*l.d)
	if a == nil { // y = LN(r)
		standardize(p.yhat, p.by, p.r, l.ones, l.d, l.eps)
	} else {
		p.b = a.Bottleneck
		p.down(s)
		p.between(s)
		p.up()
	}
	p.pool(s)
	return p
}

// down is h = LN(r) and z = hÂ + c_A, which it leaves in zhat.
func (p *pass) down(s *scratch) {
	p.h, p.zhat = s.take(p.T*p.d), s.take(p.T*p.b)
	for t := 0; t < len(p.r); t += p.d {
		dense.Norm(p.h[t:t+p.d], p.r[t:t+p.d], nil, p.w, p.c, p.eps)
	}
	project(p.zhat, p.h, p.a.Down, p.a.DownBias, p.T, p.d, p.b)
}

// between is n = LN_b(z) and v = act(n).
func (p *pass) between(s *scratch) {
	p.v = p.zhat
	if p.a.Norm != nil {
		p.bySigma, p.v = s.take(p.T), s.take(p.T*p.b)
		standardize(p.zhat, p.bySigma, p.zhat, p.ones, p.b, model.NormEps)
		scale(p.v, p.zhat, p.a.Norm[:p.b], p.a.Norm[p.b:])
	}
	if p.a.Activation == model.ReLU {
		for i, n := range p.v {
			p.v[i] = max(n, 0)
		}
	}
}

// up is u = vB̂ + c_B and the standardized u + r.
func (p *pass) up() {
	project(p.yhat, p.v, p.a.Up, p.a.UpBias, p.T, p.b, p.d)
	dense.Axpy(p.yhat, 1, p.r)
	standardize(p.yhat, p.by, p.yhat, p.ones, p.d, p.eps)
}

// pool is x. The mean of y = ŷ⊙w + c is that of ŷ, scaled.
func (p *pass) pool(s *scratch) {
	p.x = s.take(p.d)
	clear(p.x)
	for t := range p.T {
		dense.Axpy(p.x, 1/float32(p.T), p.yhat[t*p.d:(t+1)*p.d])
	}
	scale(p.x, p.x, p.w, p.c)
	if p.poolW == nil {
		return
	}
	e := s.take(p.d)
	copy(e, p.x)
	for i := range p.x {
		p.x[i] = float32(math.Tanh(float64(dense.Dot(p.poolW[i*p.d:(i+1)*p.d], e) + p.poolC[i])))
	}
}

// backward adds nothing and overwrites g with the gradient by the adapter, out of dx [d]; it
// changes dx. upT is B̂ transposed, [d,b].
func (p *pass) backward(dx, upT []float32, g *model.Adapter, s *scratch) {
	du := p.unpool(dx, s)
	dv := p.unproject(du, upT, g, s)
	dz := p.unbetween(dv, g)
	// z = hÂ + c_A
	product(g.Down, p.h, dz, p.T, p.d, p.b)
	sumRows(g.DownBias, dz)
}

// unpool is ∂L/∂u = ∂L/∂(u + r), [T,d], in place of ŷ: x to e, e to y, y to u.
func (p *pass) unpool(dx []float32, s *scratch) []float32 {
	de := dx
	if p.poolW != nil { // x = tanh(We + c)
		de = s.take(p.d)
		clear(de)
		for i, x := range p.x {
			dense.Axpy(de, dx[i]*(1-x*x), p.poolW[i*p.d:(i+1)*p.d])
		}
	}
	dyhat := s.take(p.d) // of every token
	for j, g := range de {
		dyhat[j] = g * p.w[j] / float32(p.T)
	}
	for t := range p.T {
		yhat := p.yhat[t*p.d : (t+1)*p.d]
		standardizeGradient(yhat, dyhat, yhat, p.ones, p.by[t])
	}
	return p.yhat
}

// unproject takes u = vB̂ + c_B apart: it returns ∂L/∂v, [T,b].
func (p *pass) unproject(du, upT []float32, g *model.Adapter, s *scratch) []float32 {
	product(g.Up, p.v, du, p.T, p.b, p.d)
	sumRows(g.UpBias, du)
	dv := s.take(p.T * p.b)
	project(dv, du, upT, nil, p.T, p.d, p.b)
	return dv
}

// unbetween is ∂L/∂z, [T,b], in place of ∂L/∂v: v = act(n), n = ẑ⊙w + c, ẑ of z.
func (p *pass) unbetween(dv []float32, g *model.Adapter) []float32 {
	if p.a.Activation == model.ReLU {
		for i, v := range p.v {
			if v <= 0 {
				dv[i] = 0
			}
		}
	}
	if p.a.Norm == nil {
		return dv
	}
	w, dw, dc := p.a.Norm[:p.b], g.Norm[:p.b], g.Norm[p.b:]
	clear(dw)
	sumRows(dc, dv)
	for t := range p.T {
		row, zhat := dv[t*p.b:(t+1)*p.b], p.zhat[t*p.b:(t+1)*p.b]
		for j, dn := range row {
			dw[j] += dn * zhat[j]
			row[j] = dn * w[j]
		}
		standardizeGradient(row, row, zhat, p.ones, p.bySigma[t])
	}
	return dv
}

// project is y [T,out] = x [T,in]·w [in,out] + c.
func project(y, x, w, c []float32, T, in, out int) {
	for t := 0; t < T && c != nil; t++ {
		copy(y[t*out:(t+1)*out], c)
	}
	dense.Gemm(T, out, in, x, in, 1, w, out, y, out, c != nil)
}

// product is a projection's gradient by its weights: dw [in,out] = xᵀ·dy of x [T,in], dy [T,out].
func product(dw, x, dy []float32, T, in, out int) {
	dense.Gemm(in, out, T, x, 1, in, dy, out, dw, out, false)
}

// sumRows is a bias's gradient: the sum of the rows of dy [T,n]. Where dc is nil there is no bias.
func sumRows(dc, dy []float32) {
	clear(dc)
	for n := len(dc); n > 0 && len(dy) > 0; dy = dy[n:] {
		dense.Axpy(dc, 1, dy[:n])
	}
}

// standardize writes x̂ = (x − mean x)/σ over every row of x [T,n], σ² = var x + ε, and 1/σ [T].
// xhat may be x. ones is n ones or more.
func standardize(xhat, bySigma, x, ones []float32, n int, eps float32) {
	ones = ones[:n]
	for t := range bySigma {
		row, hat := x[t*n:(t+1)*n], xhat[t*n:(t+1)*n]
		mean := dense.Dot(row, ones) / float32(n)
		for j, v := range row {
			hat[j] = v - mean
		}
		by := float32(1 / math.Sqrt(float64(dense.Dot(hat, hat)/float32(n)+eps)))
		for j := range hat {
			hat[j] *= by
		}
		bySigma[t] = by
	}
}

// standardizeGradient is ∂L/∂x = (g − mean g − x̂·mean(g⊙x̂))/σ of one row, for g = ∂L/∂x̂ [n].
// It may replace g or x̂.
func standardizeGradient(dx, g, xhat, ones []float32, bySigma float32) {
	n := float32(len(g))
	mean, along := dense.Dot(g, ones[:len(g)])/n, dense.Dot(g, xhat)/n
	for j, v := range g {
		dx[j] = (v - mean - xhat[j]*along) * bySigma
	}
}

// scale writes y = x̂⊙w + c for every row of x̂ [T,n]; y may be x̂.
func scale(y, xhat, w, c []float32) {
	for n := len(w); len(xhat) > 0; y, xhat = y[n:], xhat[n:] {
		for j, v := range xhat[:n] {
			y[j] = v*w[j] + c[j]
		}
	}
}
