//go:build torch && cgo

package torch

import (
	"fmt"
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// naive is BERT in plain float64, one text at a time: slow, short, and independent of libtorch and
// of the kernels.
type naive struct {
	enc     *model.Encoder
	weights map[string][]float64
}

type matrix [][]float64

func newNaive(t testing.TB, enc *model.Encoder) *naive {
	t.Helper()
	m := &naive{enc: enc, weights: map[string][]float64{}}
	for _, name := range enc.Checkpoint().Names() {
		tensor, err := enc.Checkpoint().Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		values, err := safetensors.Floats(tensor)
		if err != nil {
			t.Fatal(err)
		}
		m.weights[name] = widened(values)
	}
	return m
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// linear is x wᵀ + b, with w and b out of the weights.
func (m *naive) linear(x matrix, name string) matrix {
	w, b := m.weights[name+".weight"], m.weights[name+".bias"]
	out := make(matrix, len(x))
	for t, row := range x {
		out[t] = make([]float64, len(b))
		for o := range b {
			out[t][o] = b[o]
			for i, v := range row {
				out[t][o] += v * w[o*len(row)+i]
			}
		}
	}
	return out
}

func normalized(x matrix, w, b []float64, eps float64) matrix {
	out := make(matrix, len(x))
	for t, row := range x {
		var mean, variance float64
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(len(row))
		}
		for i, v := range row {
			out[t] = append(out[t], (v-mean)/math.Sqrt(variance+eps)*w[i]+b[i])
		}
	}
	return out
}

func (m *naive) norm(x matrix, name string) matrix {
	return normalized(x, m.weights[name+".weight"], m.weights[name+".bias"], m.enc.Config().LayerNormEps)
}

func plus(a, b matrix) matrix {
	out := make(matrix, len(a))
	for t := range a {
		for i := range a[t] {
			out[t] = append(out[t], a[t][i]+b[t][i])
		}
	}
	return out
}

func (m *naive) embeddings(e model.Encoding) matrix {
	d := m.enc.Hidden()
	x := make(matrix, len(e.IDs))
	for t, id := range e.IDs {
		x[t] = make([]float64, d)
		for table, at := range map[string]int{"word": int(id), "position": t, "token_type": int(e.TypeIDs[t])} {
			for i, v := range m.weights["embeddings."+table+"_embeddings.weight"][at*d : (at+1)*d] {
				x[t][i] += v
			}
		}
	}
	return m.norm(x, "embeddings.LayerNorm")
}

func (m *naive) attention(x matrix, block string, a *wide, l int) matrix {
	q, k, v := m.linear(x, block+"self.query"), m.linear(x, block+"self.key"), m.linear(x, block+"self.value")
	at := 0
	for i, y := range []*matrix{&q, &k, &v} {
		if a != nil && l >= 0 && a.Targets>>i&1 != 0 {
			*y = plus(*y, a.lora(x, l, at))
			at++
		}
	}
	dh := m.enc.Hidden() / m.enc.Config().NumAttentionHeads
	ctx := make(matrix, len(x))
	for t := range x {
		ctx[t] = make([]float64, m.enc.Hidden())
		for lo := 0; lo < len(ctx[t]); lo += dh {
			scores, sum := make([]float64, len(x)), 0.0
			for u := range x {
				dot := 0.0
				for i := lo; i < lo+dh; i++ {
					dot += q[t][i] * k[u][i]
				}
				scores[u] = math.Exp(dot / math.Sqrt(float64(dh)))
				sum += scores[u]
			}
			for u := range x {
				for i := lo; i < lo+dh; i++ {
					ctx[t][i] += scores[u] / sum * v[u][i]
				}
			}
		}
	}
	return m.norm(plus(m.linear(ctx, block+"output.dense"), x), block+"output.LayerNorm")
}

func (m *naive) activate(x matrix) matrix {
	for _, row := range x {
		for i, v := range row {
			switch m.enc.Config().HiddenAct {
			case "relu":
				row[i] = max(0, v)
			case "gelu_new":
				row[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
			default:
				row[i] = v / 2 * (1 + math.Erf(v/math.Sqrt2))
			}
		}
	}
	return x
}

// wide is an adapter in float64.
type wide struct {
	*model.Adapter
	parts [parts][]float64
}

func widen(a *model.Adapter) *wide {
	if a == nil {
		return nil
	}
	w := &wide{Adapter: a}
	for i, x := range partsOf(a) {
		w.parts[i] = widened(x)
	}
	return w
}

// apply is what the adapter's block l adds to the residual sum.
func (w *wide) apply(h matrix, l int) matrix {
	d, b := len(h[0]), w.Bottleneck
	part := func(i, n int) []float64 {
		if len(w.parts[i]) == 0 {
			return make([]float64, n)
		}
		return w.parts[i][l*n : (l+1)*n]
	}
	times := func(x matrix, w, c []float64) matrix {
		y := make(matrix, len(x))
		for t, row := range x {
			y[t] = append(y[t], c...)
			for i, v := range row {
				for j := range y[t] {
					y[t][j] += v * w[i*len(c)+j]
				}
			}
		}
		return y
	}
	z := times(h, part(down, d*b), part(downBias, b))
	if w.Norm != nil {
		affine := part(normB, 2*b)
		z = normalized(z, affine[:b], affine[b:], model.NormEps)
	}
	if w.Activation == model.ReLU {
		for _, row := range z {
			for j, v := range row {
				row[j] = max(0, v)
			}
		}
	}
	return times(z, part(up, b*d), part(upBias, d))
}

// lora is what the target that is the LoRA's i-th gains in its block l.
func (w *wide) lora(x matrix, l, i int) matrix {
	d, b := len(x[0]), w.Bottleneck
	r, y := b/w.Targets.Count(), make(matrix, len(x))
	for t, row := range x {
		y[t] = make([]float64, d)
		for k := i * r; k < (i+1)*r; k++ {
			z := 0.0
			for j, v := range row {
				z += v * w.parts[down][(l*d+j)*b+k]
			}
			for j := range y[t] {
				y[t][j] += z * w.parts[up][(l*b+k)*d+j]
			}
		}
	}
	return y
}

// states are the embeddings' and each block's.
func (m *naive) states(e model.Encoding, a *wide) []matrix {
	x := m.embeddings(e)
	all, L := []matrix{x}, m.enc.Blocks()
	for l := range L {
		block, own := fmt.Sprintf("encoder.layer.%d.", l), -1
		if a != nil {
			own = l - (L - a.Blocks)
		}
		att := m.attention(x, block+"attention.", a, own)
		r := plus(m.linear(m.activate(m.linear(att, block+"intermediate.dense")), block+"output.dense"), att)
		x = m.norm(r, block+"output.LayerNorm")
		if own >= 0 && a.Targets == 0 {
			x = m.norm(plus(a.apply(x, own), r), block+"output.LayerNorm")
		}
		all = append(all, x)
	}
	return all
}

// pool is one vector of a text's states.
func (m *naive) pool(x matrix, how model.Pooling) []float64 {
	switch how {
	case model.PoolCLS:
		return x[0]
	case model.PoolPooler:
		y := m.linear(x[:1], "pooler.dense")[0]
		for i, v := range y {
			y[i] = math.Tanh(v)
		}
		return y
	}
	mean := make([]float64, len(x[0]))
	for _, row := range x {
		for i, v := range row {
			mean[i] += v / float64(len(x))
		}
	}
	return mean
}

// embed is a text's vector.
func (m *naive) embed(e model.Encoding, a *wide) []float64 {
	all := m.states(e, a)
	return m.pool(all[len(all)-1], m.enc.Pooling())
}

// target of a row's embedding: the loss is half the squared distance.
func target(row, j int) float64 { return math.Sin(float64(1 + row*7 + j)) }

func toTarget(row int, x, dx []float32) {
	for j := range x {
		dx[j] = x[j] - float32(target(row, j))
	}
}

// gradients are those of the rows' losses by every value of each adapter, by central differences:
// [adapter][part][values].
func (m *naive) gradients(r engine.Rows, as []*model.Adapter) (grads [][parts][]float64) {
	for o, a := range as {
		var texts []model.Encoding
		var rows []int
		for row, text := range r.Texts {
			if r.Owner == nil || r.Owner[row] == o {
				texts, rows = append(texts, text), append(rows, row)
			}
		}
		var g [parts][]float64
		if a != nil {
			g = m.gradient(texts, rows, a)
		}
		grads = append(grads, g)
	}
	return grads
}

func (m *naive) gradient(texts []model.Encoding, rows []int, a *model.Adapter) (grads [parts][]float64) {
	w := widen(a)
	loss := func() (sum float64) {
		for i, text := range texts {
			for j, x := range m.embed(text, w) {
				sum += (x - target(rows[i], j)) * (x - target(rows[i], j)) / 2
			}
		}
		return sum
	}
	const step = 1e-5
	for i, values := range w.parts {
		for j, v := range values {
			values[j] = v + step
			above := loss()
			values[j] = v - step
			grads[i] = append(grads[i], (above-loss())/(2*step))
			values[j] = v
		}
	}
	return grads
}

// distance is ‖got − want‖/‖want‖.
func distance(got []float32, want []float64) float64 {
	off, size := 0.0, 0.0
	for i, w := range want {
		off += (float64(got[i]) - w) * (float64(got[i]) - w)
		size += w * w
	}
	return math.Sqrt(off / size)
}
