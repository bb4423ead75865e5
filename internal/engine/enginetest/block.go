package enginetest

import "github.com/xpeft/xpeft/model"

// Adapter is an adapter in the last block as numbers on a tape. What it does not have is nil.
type Adapter struct {
	ReLU                             bool
	Bottleneck                       int
	Down, Up, DownBias, UpBias, Norm []*Num
}

// NewAdapter puts a's values on the tape.
func (t *Tape) NewAdapter(a *model.Adapter) *Adapter {
	return &Adapter{ReLU: a.Activation == model.ReLU, Bottleneck: a.Bottleneck, Down: t.News(Wide(a.Down)),
		Up:       t.News(Wide(a.Up)),
		DownBias: t.News(Wide(a.DownBias)), UpBias: t.News(Wide(a.UpBias)), Norm: t.News(Wide(a.Norm))}
}

// Parts are the adapter's tensors by name.
func (a *Adapter) Parts() map[string][]*Num {
	return map[string][]*Num{"Down": a.Down, "Up": a.Up, "DownBias": a.DownBias, "UpBias": a.UpBias, "Norm": a.Norm}
}

// Embed is the pooled embedding of a text whose stem is r [tokens,d], under an adapter in the
// encoder's last block; or, where states is set, the mean of its states after that block.
func (t *Tape) Embed(enc *model.Encoder, r []float32, a *Adapter, states bool) []*Num {
	d := enc.Hidden()
	w, c, eps := enc.OuterNorm(enc.Blocks() - 1)
	outer := func(x []*Num) []*Num { return t.norm(x, t.News(Wide(w)), t.News(Wide(c)), float64(eps)) }
	var ys [][]*Num
	for ; len(r) > 0; r = r[d:] {
		stem := t.News(Wide(r[:d]))
		z := t.project(outer(stem), a.Down, a.DownBias, a.Bottleneck)
		if len(a.Norm) > 0 {
			z = t.norm(z, a.Norm[:a.Bottleneck], a.Norm[a.Bottleneck:], model.NormEps)
		}
		for i, n := range z {
			if a.ReLU && n.X < 0 {
				z[i] = t.New(0)
			}
		}
		u := t.project(z, a.Up, a.UpBias, d)
		for j := range u {
			u[j] = t.Add(u[j], stem[j])
		}
		ys = append(ys, outer(u))
	}
	if states {
		return t.pool(enc, model.PoolMean, ys)
	}
	return t.pool(enc, enc.Pooling(), ys)
}

func (t *Tape) pool(enc *model.Encoder, how model.Pooling, ys [][]*Num) []*Num {
	x := ys[0]
	switch how {
	case model.PoolMean:
		x = make([]*Num, enc.Hidden())
		for j := range x {
			var column []*Num
			for _, y := range ys {
				column = append(column, y[j])
			}
			x[j] = t.Sum(1/float64(len(ys)), column...)
		}
	case model.PoolPooler:
		w, c := enc.Pooler()
		x = make([]*Num, enc.Hidden())
		for i := range x {
			row := t.News(Wide(w[i*len(x) : (i+1)*len(x)]))
			x[i] = t.Tanh(t.Add(t.Dot(row, ys[0]), t.New(float64(c[i]))))
		}
	}
	return x
}

// norm is a layer norm.
func (t *Tape) norm(x, w, c []*Num, eps float64) []*Num {
	mean := t.Sum(1/float64(len(x)), x...)
	y := make([]*Num, len(x))
	for i := range x {
		y[i] = t.Sub(x[i], mean)
	}
	by := t.BySqrt(t.Mul(t.Dot(y, y), t.New(1/float64(len(x)))), eps)
	for i := range y {
		y[i] = t.Add(t.Mul(t.Mul(y[i], by), w[i]), c[i])
	}
	return y
}

// project is x·w + c, w [len(x),out].
func (t *Tape) project(x, w, c []*Num, out int) []*Num {
	y, column := make([]*Num, out), make([]*Num, len(x))
	for j := range y {
		for i := range x {
			column[i] = w[i*out+j]
		}
		y[j] = t.Dot(x, column)
		if len(c) > 0 {
			y[j] = t.Add(y[j], c[j])
		}
	}
	return y
}
