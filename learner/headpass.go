package learner

import (
	"math"

	"github.com/xpeft/xpeft/internal/dense"
)

// headPass is a profile's output in one step: what its rows left for the head's gradients.
type headPass struct {
	*output
	offset []float32 // prior plus bias
	at     map[int]int
	d, C   int
	x      []float32 // [n,d]: the embeddings
	t, da  []float32 // [n,d], of two layers: tanh(W1·x + B1), and the gradient by what tanh takes
	dz     []float32 // [n,C]: the gradient by the logits
}

// newHeadPasses are those of all profiles of a batch.
func newHeadPasses(outputs []*output, b *batch) []*headPass {
	passes := make([]*headPass, len(outputs))
	for i, o := range outputs {
		passes[i] = &headPass{output: o, offset: o.offset(), at: map[int]int{}, d: o.head.Hidden, C: o.head.Outputs()}
	}
	for i := range b.examples {
		p := passes[b.of(i)]
		p.at[i] = len(p.at)
	}
	for _, p := range passes {
		n := len(p.at)
		p.x, p.dz = make([]float32, n*p.d), make([]float32, n*p.C)
		if p.head.W1 != nil {
			p.t, p.da = make([]float32, n*p.d), make([]float32, n*p.d)
		}
	}
	return passes
}

// row is one row's loss. It writes share times the gradient by x into dx. Rows may run at once.
func (p *headPass) row(row int, e Example, share float32, x, dx []float32) float32 {
	h, i := p.head, p.at[row]
	in, z := p.x[i*p.d:(i+1)*p.d], p.dz[i*p.C:(i+1)*p.C]
	copy(in, x)
	if h.W1 != nil { // t = tanh(W1·x + B1)
		t := p.t[i*p.d : (i+1)*p.d]
		for j := range t {
			t[j] = float32(math.Tanh(float64(dense.Dot(h.W1[j*p.d:(j+1)*p.d], in) + h.B1[j])))
		}
		in = t
	}
	for c := range z { // z = W·in + B + prior + bias
		z[c] = dense.Dot(h.W[c*p.d:(c+1)*p.d], in) + h.B[c]
		if p.offset != nil {
			z[c] += p.offset[c]
		}
	}
	loss := lossOf(h, z, e)
	for c := range z {
		z[c] *= share
	}
	if h.W1 == nil {
		back(dx, h.W, z)
		return loss
	}
	da := p.da[i*p.d : (i+1)*p.d]
	back(da, h.W, z)
	for j, t := range in {
		da[j] *= 1 - t*t
	}
	back(dx, h.W1, da)
	return loss
}

// back is dx [d] = Wᵀ·dy for W [len(dy),d].
func back(dx, w, dy []float32) {
	clear(dx)
	for i, g := range dy {
		dense.Axpy(dx, g, w[i*len(dx):(i+1)*len(dx)])
	}
}

// backward adds up what the rows left, in their order. A head of several profiles has the sum.
func backward(passes []*headPass) {
	for _, p := range passes {
		for _, q := range p.params() {
			clear(q.grad)
		}
	}
	for _, p := range passes {
		p.backward()
	}
}

func (p *headPass) backward() {
	if p.bias != nil {
		sumRows(p.bias.grad, p.dz, p.C)
	}
	if p.parts == nil {
		return
	}
	in := p.x
	if p.t != nil {
		in = p.t
		outer(p.parts[2].grad, p.da, p.x, p.d, p.d)
		sumRows(p.parts[3].grad, p.da, p.d)
	}
	outer(p.parts[0].grad, p.dz, in, p.C, p.d)
	sumRows(p.parts[1].grad, p.dz, p.C)
}

// outer is dw += dyᵀ·x for dy [n,out] and x [n,d]; of W [out,d] dw may be the last rows alone.
func outer(dw, dy, x []float32, out, d int) {
	if rows := len(dw) / d; rows > 0 && len(dy) > 0 {
		dense.Gemm(rows, d, len(dy)/out, dy[out-rows:], 1, out, x, d, dw, d, true)
	}
}

// sumRows adds the rows of dy [n,width] to sum, which may be nothing.
func sumRows(sum, dy []float32, width int) {
	for ; len(sum) > 0 && len(dy) > 0; dy = dy[width:] {
		dense.Axpy(sum, 1, dy[:width])
	}
}
