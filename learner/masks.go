package learner

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// rows are a bank's adapters during training: a bank's own, frozen, or those that TrainBank trains.
type rows interface {
	Properties() bank.Properties
	FoldRows(side bank.Side, block int, ids []int32, profiles int) (weights, bias []float32, err error)
	Rows(side bank.Side, block int) (weights, bias []float32, err error)
}

// mask is what is trained of one profile.
type mask struct {
	logits  *param                             // [2][L][N]
	norm    *param                             // LN_b's affine, [L][2][b]
	weights []float32                          // y_soft of the last step, [2][L][N]
	draw    func(profile int, noise []float32) // makes a step's noise
}

// maskSource trains the masks of one or more profiles over one bank: Algorithm 1.
type maskSource struct {
	bank   rows
	props  bank.Properties // of its blocks that are trained
	below  int             // its other blocks, which are the first
	k      int
	soft   bool
	one    bool // both sides share a mask: their logits start equal, and stay so
	affine bool
	tau    float64
	of     []*mask // one a profile
	noise  []float32
	picked [][]int32 // in the last step: what sample returned
	// learned takes the gradient of the folded adapters' side, one a profile, for those who train
	// the bank too; nil: nobody does.
	learned func(picked []int32, side bank.Side, block int, grads [][]float32)
}

func newMaskSource(b rows, c Config, rng *rand.Rand, logits []*Logits, affines [][]float32) *maskSource {
	p := b.Properties()
	m := &maskSource{bank: b, props: p, below: p.Blocks - logits[0].Blocks, k: c.K, soft: c.Soft, one: c.OneMask,
		affine: c.Affine, tau: c.Tau}
	m.props.Blocks = logits[0].Blocks
	for i, g := range logits {
		m.add(newParam(g.Values, c.MaskRate), newParam(affines[i], c.AffineRate),
			func(_ int, noise []float32) { gumbel(noise, rng) })
	}
	return m
}

// add takes one more profile in.
func (m *maskSource) add(logits, norm *param, draw func(int, []float32)) {
	m.of = append(m.of, &mask{logits: logits, norm: norm, weights: make([]float32, len(logits.value)), draw: draw})
}

// joinMasks is one source of several profiles, out of one of each over the same bank and of the
// same configuration.
func joinMasks(each []*maskSource) *maskSource {
	m := *each[0]
	m.of = nil
	for _, x := range each {
		m.of = append(m.of, x.of...)
	}
	return &m
}

func (m *maskSource) params() (ps []*param) {
	for _, k := range m.of {
		ps = append(ps, k.logits)
	}
	for _, k := range m.of {
		if m.affine && m.props.NormB {
			ps = append(ps, k.norm)
		}
	}
	return ps
}

// sample is lines 2 to 4 of Algorithm 1 for every row: z = logits + ν·Gumbel, y_soft = softmax(z/τ)
// and, for hard masks, the k largest of z.
func (m *maskSource) sample(nu []float64) (picked [][]int32, err error) {
	n := m.props.N
	row := make(bitmask.Row, bitmask.RowBytes(n))
	picked = make([][]int32, len(m.of[0].weights)/n) // [2·L] rows, each k ids of every profile
	for p, k := range m.of {
		z := m.noisy(p, nu[p])
		for r := range picked {
			zr := z[r*n : (r+1)*n]
			softmaxInto(k.weights[r*n:(r+1)*n], zr, m.tau)
			if m.soft {
				continue
			}
			clear(row)
			if err := bitmask.TopK(zr, m.k, row); err != nil {
				return nil, err
			}
			for i := range n {
				if row.Get(i) {
					picked[r] = append(picked[r], int32(i))
				}
			}
		}
	}
	return picked, nil
}

// noisy is a profile's z, valid until the next call.
func (m *maskSource) noisy(profile int, nu float64) []float32 {
	k := m.of[profile]
	if nu == 0 {
		return k.logits.value
	}
	if len(m.noise) != len(k.weights) {
		m.noise = make([]float32, len(k.weights))
	}
	k.draw(profile, m.noise)
	if m.one {
		copy(m.noise[len(m.noise)/2:], m.noise)
	}
	for i, x := range k.logits.value {
		m.noise[i] = x + float32(nu)*m.noise[i]
	}
	return m.noise
}

// fold makes each profile's Â, B̂, biases and LN_b, as far as the bank has them.
func (m *maskSource) fold(ctx context.Context, nu []float64) (as []*model.Adapter, err error) {
	if m.picked, err = m.sample(nu); err != nil {
		return nil, err
	}
	p := m.props
	for _, k := range m.of {
		a := p.NewAdapter()
		copy(a.Norm, k.norm.value)
		as = append(as, a)
	}
	errs := make([]error, 2*p.Blocks)
	err = engine.Each(ctx, len(errs), func(r int) {
		errs[r] = m.foldSide(bank.Side(r/p.Blocks), r%p.Blocks, as)
	})
	return as, errors.Join(append(errs, err)...)
}

// foldSide fills in one side of a block.
func (m *maskSource) foldSide(side bank.Side, l int, as []*model.Adapter) (err error) {
	p := m.props
	var w, bias []float32 // [P,d·b] and [P,x]
	if m.soft {
		w, bias, err = m.foldSoft(side, l)
	} else {
		w, bias, err = m.bank.FoldRows(side, m.below+l, m.picked[int(side)*p.Blocks+l], len(as))
	}
	if err != nil {
		return err
	}
	for _, a := range as {
		weights, biases := half(a, p, side, l)
		w, bias = w[copy(weights, w):], bias[copy(biases, bias):]
	}
	return nil
}

// half is one side of an adapter in one block, and its biases, which may be nothing.
func half(a *model.Adapter, p bank.Properties, side bank.Side, l int) (weights, biases []float32) {
	w, c := a.Down, a.DownBias
	if side == bank.Up {
		w, c = a.Up, a.UpBias
	}
	n, x := p.Elems(), p.BiasElems(side)
	return w[l*n : (l+1)*n], c[l*x : (l+1)*x]
}

// foldSoft weighs all rows: y_soft·A.
func (m *maskSource) foldSoft(side bank.Side, l int) (w, bias []float32, err error) {
	p := m.props
	rows, biases, err := m.bank.Rows(side, m.below+l)
	if err != nil {
		return nil, nil, err
	}
	at, P := (int(side)*p.Blocks+l)*p.N, len(m.of)
	y := make([]float32, 0, P*p.N)
	for _, k := range m.of {
		y = append(y, k.weights[at:at+p.N]...)
	}
	product := func(rows []float32, width int) []float32 {
		c := make([]float32, P*width)
		if width > 0 {
			dense.Gemm(P, width, p.N, y, p.N, 1, rows, width, c, width, false)
		}
		return c
	}
	return product(rows, p.Elems()), product(biases, p.BiasElems(side)), nil
}
