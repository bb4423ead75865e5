//go:build cgo

package learner

import (
	"math/rand/v2"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// rows are a bank's adapters during training: a bank's own, frozen, or those that TrainBank trains.
type rows interface {
	Properties() bank.Properties
	FoldRows(s *torch.Scope, side bank.Side, block int, ids []int32, profiles int) (weights, bias torch.Tensor, err error)
	Rows(s *torch.Scope, side bank.Side, block int) (weights, bias torch.Tensor, err error)
}

// maskSource trains the masks of one or more profiles over one bank: Algorithm 1.
type maskSource struct {
	bank   rows
	k      int
	soft   bool
	one    bool // both sides share a mask: their logits start equal and stay so
	affine bool
	tau    float64
	rng    *rand.Rand
	// One of each a profile.
	logits  []*param // [2][L][N]
	norms   []*param // [L][2][b]
	weights [][]float32
	noise   []float32
	// learned takes the gradient of a folded adapter's side, [P,d·b], for those who train the bank too; nil: nobody does.
	learned func(s *torch.Scope, picked []int32, side bank.Side, block int, grad torch.Tensor) error
	picked  [][]int32 // in the last step: what sample returned
	// draw replaces the noise in a test that was given it.
	draw func(profile int, dst []float32)
}

func newMaskSource(b rows, c Config, rng *rand.Rand, logits []*Logits, affines [][]float32) *maskSource {
	m := &maskSource{bank: b, k: c.K, soft: c.Soft, one: c.OneMask, affine: c.Affine, tau: c.Tau, rng: rng}
	for i, g := range logits {
		if m.one {
			copy(g.Values[len(g.Values)/2:], g.Values)
		}
		m.add(newParam(g.Values, c.MaskRate), newParam(affines[i], c.AffineRate))
	}
	m.draw = func(_ int, dst []float32) { gumbel(dst, m.rng) }
	return m
}

// add takes one more profile in.
func (m *maskSource) add(logits, norm *param) {
	m.logits, m.norms = append(m.logits, logits), append(m.norms, norm)
	m.weights = append(m.weights, make([]float32, len(logits.value)))
	if m.noise == nil {
		m.noise = make([]float32, len(logits.value))
	}
}

func (m *maskSource) params() []*param {
	ps := append([]*param(nil), m.logits...)
	if m.affine && m.bank.Properties().NormB {
		ps = append(ps, m.norms...)
	}
	return ps
}

// sample is lines 2 to 4 of Algorithm 1 for every row: z = logits + ν·Gumbel, y_soft = softmax(z/τ) and, for hard masks, the k largest of z.
func (m *maskSource) sample(nu float64) (picked [][]int32, err error) {
	n := m.bank.Properties().N
	row := make(bitmask.Row, (n+7)/8)
	picked = make([][]int32, len(m.logits[0].value)/n) // [2·L] rows, each k ids of every profile
	for p, g := range m.logits {
		z := g.value
		if nu > 0 {
			m.draw(p, m.noise)
			if m.one {
				copy(m.noise[len(m.noise)/2:], m.noise)
			}
			for i, x := range g.value {
				m.noise[i] = x + float32(nu)*m.noise[i]
			}
			z = m.noise
		}
		for r := range picked {
			zr := z[r*n : (r+1)*n]
			softmaxInto(m.weights[p][r*n:(r+1)*n], zr, m.tau)
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

func (m *maskSource) adapter(s *torch.Scope, nu float64, owner []int64) (*model.Adapter, []torch.Tensor, error) {
	picked, err := m.sample(nu)
	if err != nil {
		return nil, nil, err
	}
	m.picked = picked
	p := m.bank.Properties()
	v := leaves{scope: s}
	f := folder{m: m, v: &v, picked: picked}
	if owner != nil {
		f.owner = s.Int64s(owner, int64(len(owner)))
	}
	a := p.NewAdapter()
	for l := range p.Blocks {
		blk := &a.Blocks[l]
		if blk.Down, blk.DownBias, err = f.side(bank.Down, l); err != nil {
			return nil, nil, err
		}
		if blk.Up, blk.UpBias, err = f.side(bank.Up, l); err != nil {
			return nil, nil, err
		}
		if p.NormB {
			blk.NormWeight, blk.NormBias = f.norm(l, 0), f.norm(l, 1)
		}
	}
	return a, v.list, nil
}

// folder makes one step's tensors.
type folder struct {
	m      *maskSource
	v      *leaves
	picked [][]int32
	owner  torch.Tensor
}

// side folds one side of a block for every profile. The folded adapters are the leaves: nothing behind them needs autograd.
func (f *folder) side(side bank.Side, l int) (w, bias torch.Tensor, err error) {
	s, p, P := f.v.scope, f.m.bank.Properties(), len(f.m.logits)
	if f.m.soft {
		w, bias, err = f.foldSoft(side, l)
	} else {
		w, bias, err = f.m.bank.FoldRows(s, side, l, f.picked[int(side)*p.Blocks+l], P)
	}
	if err != nil {
		return w, bias, err
	}
	rows, cols := p.Shape(side)
	w = f.each(s.View(f.v.add(w), int64(P), int64(rows), int64(cols)))
	if p.Bias {
		bias = f.each(s.View(f.v.add(bias), int64(P), 1, int64(p.BiasElems(side))))
	}
	return w, bias, nil
}

func (f *folder) foldSoft(side bank.Side, l int) (w, bias torch.Tensor, err error) {
	s, p := f.v.scope, f.m.bank.Properties()
	rows, biases, err := f.m.bank.Rows(s, side, l)
	if err != nil {
		return w, bias, err
	}
	r := int(side)*p.Blocks + l
	var flat []float32
	for _, ws := range f.m.weights {
		flat = append(flat, ws[r*p.N:(r+1)*p.N]...)
	}
	y := s.Float32s(flat, int64(len(f.m.weights)), int64(p.N))
	w = s.MatMul(y, rows)
	if p.Bias {
		bias = s.MatMul(y, biases)
	}
	return w, bias, nil
}

// norm is LN_b's weight (0) or bias (1) in a block.
func (f *folder) norm(l, which int) torch.Tensor {
	s, b := f.v.scope, f.m.bank.Properties().Bottleneck
	var flat []float32
	for _, n := range f.m.norms {
		at := (2*l + which) * b
		flat = append(flat, n.value[at:at+b]...)
	}
	P := int64(len(f.m.norms))
	t := s.Float32s(flat, P, 1, int64(b))
	if f.m.affine {
		t = f.v.add(t)
	}
	if f.owner == (torch.Tensor{}) {
		return s.View(t, int64(b))
	}
	return f.each(t)
}

// each turns [P,x,y] into what the batch takes: [x,y] for the only profile, [B,x,y] by owner for several.
func (f *folder) each(t torch.Tensor) torch.Tensor {
	s := f.v.scope
	if f.owner == (torch.Tensor{}) {
		return s.Select(t, 0, 0)
	}
	return s.IndexSelect(t, 0, f.owner)
}

// backward takes the gradients in the order in which adapter made the leaves. ∂L/∂M is the bank times ∂L/∂Â (and the biases'), and goes
// through the softmax as in Algorithm 1's straight-through estimate.
func (m *maskSource) backward(s *torch.Scope, grads []torch.Tensor) error {
	p, P := m.bank.Properties(), len(m.logits)
	var products []torch.Tensor // [N,P] each, in the order Down 0, Up 0, Down 1, …
	norm := make([]float32, P*p.Bottleneck)
	for l := range p.Blocks {
		for _, side := range []bank.Side{bank.Down, bank.Up} {
			dm, err := m.inner(s, side, l, &grads)
			if err != nil {
				return err
			}
			products = append(products, dm)
		}
		for which := range 2 {
			if !p.NormB || !m.affine {
				break
			}
			if err := read(s, &grads, norm); err != nil {
				return err
			}
			for i, n := range m.norms {
				copy(n.grad[(2*l+which)*p.Bottleneck:], norm[i*p.Bottleneck:(i+1)*p.Bottleneck])
			}
		}
	}
	flat := s.Values(s.Stack(products)) // [2L,N,P]
	dy := make([]float32, p.N)
	for i := range products {
		r := i%2*p.Blocks + i/2
		for j, g := range m.logits {
			for n := range dy {
				dy[n] = flat[(i*p.N+n)*P+j]
			}
			softmaxBackward(g.grad[r*p.N:(r+1)*p.N], m.weights[j][r*p.N:(r+1)*p.N], dy, m.tau)
		}
	}
	if m.one {
		m.share()
	}
	return nil
}

// share gives both sides of a mask that they share the sum of their gradients.
func (m *maskSource) share() {
	for _, g := range m.logits {
		down, up := g.grad[:len(g.grad)/2], g.grad[len(g.grad)/2:]
		for i := range down {
			down[i] += up[i]
			up[i] = down[i]
		}
	}
}

// inner is ⟨∂L/∂Â, A_i⟩ for every adapter and profile, [N,P].
func (m *maskSource) inner(s *torch.Scope, side bank.Side, l int, grads *[]torch.Tensor) (dm torch.Tensor, err error) {
	p, P := m.bank.Properties(), int64(len(m.logits))
	next := func(width int) torch.Tensor { // [P,width], transposed
		g := (*grads)[0]
		*grads = (*grads)[1:]
		if !g.Defined() {
			g = s.Zeros(torch.Float32, P, int64(width))
		}
		g = s.View(g, P, int64(width))
		if m.learned != nil && err == nil {
			err = m.learned(s, m.picked[int(side)*p.Blocks+l], side, l, g)
		}
		return s.Transpose(g, 0, 1)
	}
	// In a block, so that a float16 bank's widened rows live no longer than this product.
	dm = s.Block(func() torch.Tensor {
		rows, biases, rowsErr := m.bank.Rows(s, side, l)
		if err = rowsErr; err != nil {
			return torch.Tensor{}
		}
		dm := s.MatMul(rows, next(p.Elems()))
		if p.Bias {
			dm = s.Add(dm, s.MatMul(biases, next(p.BiasElems(side))))
		}
		return dm
	})
	return dm, err
}
