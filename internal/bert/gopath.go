package bert

import (
	"math"

	"github.com/xpeft/xpeft/internal/dense"
)

const (
	feedRows   = 96 // whose inner states stay in the second cache
	attendRows = 24 // whose scores stay in the first
	lane       = 16 // keys lie in panels of so many
)

// goPath is the pass in Go, of any size. Its large sums have the order of those in C.
type goPath struct {
	w      Weights
	blocks []goBlock
	pooler layer
}

type goBlock struct {
	qkv, out, up, down layer
	attention, ffn     Norm
}

// layer is y = x w + bias.
type layer struct {
	w       *dense.Packed
	bias    []float32
	in, out int
}

func newGo(w Weights) path {
	p := &goPath{w: w}
	for _, b := range w.Blocks {
		p.blocks = append(p.blocks, goBlock{qkv: pack(b.QKV), out: pack(b.Out), up: pack(b.Up), down: pack(b.Down),
			attention: b.Attention, ffn: b.FFN})
	}
	if w.Pooler != nil {
		p.pooler = pack(*w.Pooler)
	}
	p.w.Blocks, p.w.Pooler = nil, nil // they are packed
	return p
}

func pack(l Linear) layer {
	return layer{w: dense.Pack(l.In, l.Out, l.W, 1, l.In), bias: l.B, in: l.In, out: l.Out}
}

func (l layer) apply(x []float32, n int, y []float32) {
	for t := range n {
		copy(y[t*l.out:], l.bias)
	}
	l.w.Times(n, x, l.in, y, l.out, true)
}

func (p *goPath) kernel() string { return goName() }

func goName() string {
	if k := dense.Kernel(); k != "go" {
		return "go-" + k
	}
	return "go"
}

func (p *goPath) free() {}

func (p *goPath) wide() int { return p.blocks[0].up.out }

func (p *goPath) shares() bool  { return false }
func (p *goPath) team(int) team { return nil }

func (p *goPath) floats(tokens, longest, b, _ int) int {
	return 5*tokens*p.w.Hidden + max(feedRows*p.wide(), longest*b) + p.attendFloats(longest)
}

func (p *goPath) attendFloats(longest int) int {
	return padded(longest) * (p.w.Hidden/p.w.Heads + attendRows)
}

func padded(n int) int { return (n + lane - 1) / lane * lane }

// parts of a pass's scratch.
type parts struct{ qkv, ctx, a, inner, small []float32 }

func (p *goPath) forward(b Batch, adapters []Adapter, start, stop int, taps []int32, x, pooled, scratch []float32,
	_ team) {
	d, n := p.w.Hidden, len(x)/p.w.Hidden
	cut := func(n int) (part []float32) { part, scratch = scratch[:n], scratch[n:]; return part }
	longest := 0
	for _, l := range b.Lengths {
		longest = max(longest, int(l))
	}
	s := parts{qkv: cut(3 * n * d), ctx: cut(n * d), a: cut(n * d), small: cut(p.attendFloats(longest))}
	s.inner = scratch
	if start < 0 {
		p.embed(b, x)
	}
	k := 0
	for l := max(start, 0); ; l++ {
		if l != start { // x is the states after l blocks
			if k < len(taps) && int(taps[k]) == l {
				p.tap(x, b.Lengths, pooled[k*d:], len(taps)*d)
				k++
			}
			if l == len(p.blocks) {
				return
			}
			p.residual(l, b, adapters, x, s)
			if l == stop {
				return
			}
		}
		at := 0
		for i, length := range b.Lengths {
			p.adapt(l, b.adapter(i, adapters, false), x[at:at+int(length)*d], s)
			at += int(length) * d
		}
	}
}

func (p *goPath) embed(b Batch, x []float32) {
	d, at := p.w.Hidden, 0
	for _, n := range b.Lengths {
		for t := range int(n) {
			w, k, pos := p.w.Words[int(b.IDs[at])*d:][:d], p.w.Types[int(b.Types[at])*d:][:d], p.w.Positions[t*d:][:d]
			y := x[at*d:][:d]
			for i := range y {
				y[i] = w[i] + k[i] + pos[i]
			}
			dense.Norm(y, y, nil, p.w.Embeddings.Weight, p.w.Embeddings.Bias, p.w.Eps)
			at++
		}
	}
}

// adapter is a text's LoRA, or its bottleneck adapter; nil if it has none.
func (b Batch) adapter(text int, adapters []Adapter, lora bool) *Adapter {
	if b.Owners == nil || b.Owners[text] < 0 || (adapters[b.Owners[text]].Targets != 0) != lora {
		return nil
	}
	return &adapters[b.Owners[text]]
}

// residual is f + a of block l, in place of its input x [n,d].
func (p *goPath) residual(l int, texts Batch, adapters []Adapter, x []float32, s parts) {
	b, d, n, at := &p.blocks[l], p.w.Hidden, len(x)/p.w.Hidden, 0
	b.qkv.apply(x, n, s.qkv)
	for i, length := range texts.Lengths {
		if a := texts.adapter(i, adapters, true); a != nil {
			p.addLoRA(l, a, x[at*d:][:int(length)*d], s.qkv[at*3*d:], s.inner)
		}
		p.attend(s.qkv[at*3*d:], int(length), s.ctx[at*d:], s.small)
		at += int(length)
	}
	b.out.apply(s.ctx, n, s.a)
	for t := 0; t < n*d; t += d {
		dense.Norm(s.a[t:t+d], s.a[t:t+d], x[t:t+d], b.attention.Weight, b.attention.Bias, p.w.Eps)
	}
	for i := 0; i < n; i += feedRows {
		rows := min(feedRows, n-i)
		inner := s.inner[:rows*p.wide()]
		b.up.apply(s.a[i*d:], rows, inner)
		p.activate(inner)
		b.down.apply(inner, rows, x[i*d:])
	}
	dense.Axpy(x, 1, s.a[:n*d])
}

func (p *goPath) activate(x []float32) {
	switch p.w.Activation {
	case GELU:
		dense.GELU(x)
	case GELUTanh:
		dense.GELUTanh(x)
	default:
		relu(x)
	}
}

// relu keeps NaN.
func relu(x []float32) {
	for i, v := range x {
		if v < 0 {
			x[i] = 0
		}
	}
}

// attend is one text's attention: qkv [n,3d] to ctx [n,d]. small holds a head's keys, as panels,
// and the scores of attendRows tokens.
func (p *goPath) attend(qkv []float32, n int, ctx, small []float32) {
	d, dh := p.w.Hidden, p.w.Hidden/p.w.Heads
	cols, scale := padded(n), 1/float32(math.Sqrt(float64(dh)))
	keys, scores := small[:cols*dh], small[cols*dh:]
	clear(keys)
	for h := 0; h < d; h += dh {
		q, v := qkv[h:], qkv[h+2*d:]
		for j := range n {
			panel := keys[j/lane*lane*dh+j%lane:]
			for c, k := range qkv[j*3*d+d+h:][:dh] {
				panel[c*lane] = k * scale
			}
		}
		for i := 0; i < n; i += attendRows {
			rows := min(attendRows, n-i)
			for j := 0; j < cols; j += lane {
				dense.Gemm(rows, lane, dh, q[i*3*d:], 3*d, 1, keys[j*dh:], lane, scores[j:], cols, false)
			}
			for r := range rows {
				s := scores[r*cols:][:cols]
				for j := n; j < cols; j++ {
					s[j] = float32(math.Inf(-1))
				}
				dense.Softmax(s)
			}
			dense.Gemm(rows, dh, n, scores, cols, 1, v, 3*d, ctx[i*d+h:], d, false)
		}
	}
}

// addLoRA adds (x·A)·B of each target to one text's queries, keys and values, qkv [n,3d].
func (p *goPath) addLoRA(l int, a *Adapter, x, qkv, z []float32) {
	d, b := p.w.Hidden, a.Bottleneck
	if l -= len(p.blocks) - a.Blocks; l < 0 {
		return
	}
	n, r, at := len(x)/d, b/(a.Targets&1+a.Targets>>1&1+a.Targets>>2&1), 0
	dense.Gemm(n, b, d, x, d, 1, a.Down[l*d*b:], b, z, b, false)
	for t := range 3 {
		if a.Targets>>t&1 != 0 {
			dense.Gemm(n, d, r, z[at:], b, 1, a.Up[(l*b+at)*d:], d, qkv[t*d:], 3*d, true)
			at += r
		}
	}
}

// adapt ends block l for one text: x = LN(B̂·act(LN_b(Â·LN(r))) + r), in place of r; without an
// adapter there x = LN(r).
func (p *goPath) adapt(l int, a *Adapter, r []float32, s parts) {
	d, blk := p.w.Hidden, &p.blocks[l]
	if a != nil {
		l -= len(p.blocks) - a.Blocks
	}
	norm := func(y, x, z []float32) {
		for t := 0; t < len(r); t += d {
			at := z
			if z != nil {
				at = z[t : t+d]
			}
			dense.Norm(y[t:t+d], x[t:t+d], at, blk.ffn.Weight, blk.ffn.Bias, p.w.Eps)
		}
	}
	if a == nil || l < 0 {
		norm(r, r, nil)
		return
	}
	n, b := len(r)/d, a.Bottleneck
	h, z := s.qkv[:n*d], s.inner[:n*b]
	norm(h, r, nil)
	biases(z, a.DownBias, l, b)
	dense.Gemm(n, b, d, h, d, 1, a.Down[l*d*b:], b, z, b, true)
	for t := 0; t < n*b; t += b {
		a.between(l, z[t:t+b])
	}
	biases(h, a.UpBias, l, d)
	dense.Gemm(n, d, b, z, b, 1, a.Up[l*b*d:], d, h, d, true)
	norm(r, h, r)
}

// biases begins rows of n values with block l's.
func biases(y, all []float32, l, n int) {
	if all == nil {
		clear(y)
		return
	}
	for t := 0; t < len(y); t += n {
		copy(y[t:], all[l*n:][:n])
	}
}

// between is LN_b and the activation of one token's bottleneck, in place.
func (a *Adapter) between(l int, z []float32) {
	if b := a.Bottleneck; a.Norm != nil {
		dense.Norm(z, z, nil, a.Norm[2*l*b:][:b], a.Norm[(2*l+1)*b:][:b], a.Eps)
	}
	if a.ReLU {
		relu(z)
	}
}

func (p *goPath) mean(x []float32, lengths []int32, y []float32) {
	p.tap(x, lengths, y, p.w.Hidden)
}

// tap is the mean of each text's states x [n,d], in rows of y that are ldy apart. Sums go in the
// order of the tokens, whatever texts are beside one.
func (p *goPath) tap(x []float32, lengths []int32, y []float32, ldy int) {
	d := p.w.Hidden
	for i, n := range lengths {
		sum := y[i*ldy:][:d]
		copy(sum, x)
		for range n - 1 {
			x = x[d:]
			dense.Axpy(sum, 1, x[:d])
		}
		x = x[d:]
		for c := range sum {
			sum[c] /= float32(n)
		}
	}
}

func (p *goPath) pool(x []float32, n int, y []float32) { p.pooler.apply(x, n, y) }
