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

// topRows are those of a bank's blocks above the first so many.
type topRows struct {
	*bank.Bank
	below int
}

func (t topRows) Properties() bank.Properties {
	p := t.Bank.Properties()
	p.Blocks -= t.below
	return p
}

func (t topRows) FoldRows(s *torch.Scope, side bank.Side, block int, ids []int32, profiles int) (weights, bias torch.Tensor, err error) {
	return t.Bank.FoldRows(s, side, t.below+block, ids, profiles)
}

func (t topRows) Rows(s *torch.Scope, side bank.Side, block int) (weights, bias torch.Tensor, err error) {
	return t.Bank.Rows(s, side, t.below+block)
}

// maskSource trains the masks of one or more profiles over one bank: Algorithm 1.
type maskSource struct {
	bank   rows
	k      int
	soft   bool
	one    bool // both sides share a mask: their logits start equal, and stay so
	affine bool
	tau    float64
	// One of each a profile.
	logits  []*param // [2][L][N]
	norms   []*param // [L][2][b]
	weights [][]float32
	noise   []float32
	// learned takes the gradient of a folded adapter's side, [P,d·b], for those who train the bank too; nil: nobody does.
	learned func(s *torch.Scope, picked []int32, side bank.Side, block int, grad torch.Tensor) error
	picked  [][]int32 // in the last step: what sample returned
	// draw makes a profile's noise.
	draw func(profile int, dst []float32)
}

func newMaskSource(b rows, c Config, rng *rand.Rand, logits []*Logits, affines [][]float32) *maskSource {
	m := &maskSource{bank: b, k: c.K, soft: c.Soft, one: c.OneMask, affine: c.Affine, tau: c.Tau}
	for i, g := range logits {
		m.add(newParam(g.Values, c.MaskRate), newParam(affines[i], c.AffineRate))
	}
	m.draw = func(_ int, dst []float32) { gumbel(dst, rng) }
	return m
}

// joinMasks is one source of several profiles, out of one of each over the same bank and of the same configuration.
func joinMasks(each []*maskSource) *maskSource {
	m := *each[0]
	m.logits, m.norms, m.weights = nil, nil, nil
	for _, x := range each {
		m.logits, m.norms, m.weights = append(m.logits, x.logits...), append(m.norms, x.norms...), append(m.weights, x.weights...)
	}
	m.draw = func(profile int, dst []float32) { each[profile].draw(0, dst) }
	return &m
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
func (m *maskSource) sample(nu []float64) (picked [][]int32, err error) {
	n := m.bank.Properties().N
	row := make(bitmask.Row, (n+7)/8)
	picked = make([][]int32, len(m.logits[0].value)/n) // [2·L] rows, each k ids of every profile
	for p, g := range m.logits {
		z := g.value
		if nu[p] > 0 {
			m.draw(p, m.noise)
			if m.one {
				copy(m.noise[len(m.noise)/2:], m.noise)
			}
			for i, x := range g.value {
				m.noise[i] = x + float32(nu[p])*m.noise[i]
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

// fold makes, for each block, Down, its bias, Up, its bias, LN_b's weights and its biases, as far as the bank has them. Nothing behind the folded adapters needs autograd.
func (m *maskSource) fold(s *torch.Scope, nu []float64) (parts []part, err error) {
	if m.picked, err = m.sample(nu); err != nil {
		return nil, err
	}
	p := m.bank.Properties()
	for l := range p.Blocks {
		for _, side := range []bank.Side{bank.Down, bank.Up} {
			folded, err := m.side(s, side, l)
			if err != nil {
				return nil, err
			}
			parts = append(parts, folded...)
		}
		if p.NormB {
			parts = append(parts, m.norm(s, l, 0), m.norm(s, l, 1))
		}
	}
	return parts, nil
}

func (m *maskSource) adapter(s *torch.Scope, parts rowParts) *model.Adapter {
	p := m.bank.Properties()
	next := func() torch.Tensor {
		if parts.rows {
			return parts.next()
		}
		return s.Select(parts.next(), 0, 0)
	}
	a := p.NewAdapter()
	for l := range a.Blocks {
		blk := &a.Blocks[l]
		blk.Down = next()
		if p.Bias {
			blk.DownBias = next()
		}
		blk.Up = next()
		if p.Bias {
			blk.UpBias = next()
		}
		if p.NormB {
			blk.NormWeight, blk.NormBias = next(), next()
			if !parts.rows { // LN takes [b]
				b := int64(p.Bottleneck)
				blk.NormWeight, blk.NormBias = s.View(blk.NormWeight, b), s.View(blk.NormBias, b)
			}
		}
	}
	return a
}

// side folds one side of a block for every profile: [P,d,b] or [P,b,d], and the bias [P,1,x].
func (m *maskSource) side(s *torch.Scope, side bank.Side, l int) (parts []part, err error) {
	p, P := m.bank.Properties(), int64(len(m.logits))
	var w, bias torch.Tensor
	if m.soft {
		w, bias, err = m.foldSoft(s, side, l)
	} else {
		w, bias, err = m.bank.FoldRows(s, side, l, m.picked[int(side)*p.Blocks+l], int(P))
	}
	if err != nil {
		return nil, err
	}
	rows, cols := p.Shape(side)
	parts = append(parts, part{s.View(w, P, int64(rows), int64(cols)), true, true})
	if p.Bias {
		parts = append(parts, part{s.View(bias, P, 1, int64(p.BiasElems(side))), true, true})
	}
	return parts, nil
}

func (m *maskSource) foldSoft(s *torch.Scope, side bank.Side, l int) (w, bias torch.Tensor, err error) {
	p := m.bank.Properties()
	rows, biases, err := m.bank.Rows(s, side, l)
	if err != nil {
		return w, bias, err
	}
	r := int(side)*p.Blocks + l
	var flat []float32
	for _, ws := range m.weights {
		flat = append(flat, ws[r*p.N:(r+1)*p.N]...)
	}
	y := s.Float32s(flat, int64(len(m.weights)), int64(p.N))
	w = s.MatMul(y, rows)
	if p.Bias {
		bias = s.MatMul(y, biases)
	}
	return w, bias, nil
}

// norm is LN_b's weight (0) or bias (1) in a block, [P,1,b].
func (m *maskSource) norm(s *torch.Scope, l, which int) part {
	b := m.bank.Properties().Bottleneck
	var flat []float32
	for _, n := range m.norms {
		at := (2*l + which) * b
		flat = append(flat, n.value[at:at+b]...)
	}
	return part{s.Float32s(flat, int64(len(m.norms)), 1, int64(b)), m.affine, true}
}

// backward takes the gradients in fold's order. ∂L/∂M is the bank times ∂L/∂Â (and the biases'), and goes
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
		g = s.Reshape(g, P, int64(width))
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
