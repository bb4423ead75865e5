package model

import (
	"fmt"
	"math"
)

// naive is BERT in plain float64, one text at a time: slow, short, and independent of the kernels.
type naive struct {
	config  Config
	weights map[string][]float32
	adapter *naiveAdapter
	from    int // the adapter's first block
}

// naiveAdapter is one adapter: by block, Down [d][b], Up [b][d] and the rest.
type naiveAdapter struct {
	b                    int
	relu, norm           bool
	down, up             [][]float32
	downBias, upBias     [][]float32
	normWeight, normBias [][]float32
}

type matrix [][]float64

// linear is x wᵀ + b, with w and b out of the weights.
func (m *naive) linear(x matrix, name string) matrix {
	w, b := m.weights[name+".weight"], m.weights[name+".bias"]
	out := make(matrix, len(x))
	for t, row := range x {
		out[t] = make([]float64, len(b))
		for o := range b {
			sum := float64(b[o])
			for i, v := range row {
				sum += v * float64(w[o*len(row)+i])
			}
			out[t][o] = sum
		}
	}
	return out
}

func naiveNorm(x matrix, w, b []float32, eps float64) matrix {
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
			out[t] = append(out[t], (v-mean)/math.Sqrt(variance+eps)*float64(w[i])+float64(b[i]))
		}
	}
	return out
}

func (m *naive) norm(x matrix, name string) matrix {
	return naiveNorm(x, m.weights[name+".weight"], m.weights[name+".bias"], m.config.LayerNormEps)
}

func add(a, b matrix) matrix {
	out := make(matrix, len(a))
	for t := range a {
		for i := range a[t] {
			out[t] = append(out[t], a[t][i]+b[t][i])
		}
	}
	return out
}

func (m *naive) embed(e Encoding) matrix {
	h := m.config.HiddenSize
	row := func(table string, at int) []float32 {
		return m.weights["embeddings."+table+"_embeddings.weight"][at*h : (at+1)*h]
	}
	x := make(matrix, len(e.IDs))
	for t, id := range e.IDs {
		w, p, k := row("word", int(id)), row("position", t), row("token_type", int(e.TypeIDs[t]))
		for i := range h {
			x[t] = append(x[t], float64(w[i])+float64(p[i])+float64(k[i]))
		}
	}
	return m.norm(x, "embeddings.LayerNorm")
}

func (m *naive) attention(x matrix, block string) matrix {
	q, k, v := m.linear(x, block+"self.query"), m.linear(x, block+"self.key"), m.linear(x, block+"self.value")
	dh := m.config.HiddenSize / m.config.NumAttentionHeads
	ctx := make(matrix, len(x))
	for t := range x {
		ctx[t] = make([]float64, m.config.HiddenSize)
		for lo := 0; lo < m.config.HiddenSize; lo += dh {
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
	return m.norm(add(m.linear(ctx, block+"output.dense"), x), block+"output.LayerNorm")
}

func (m *naive) activate(x matrix) matrix {
	for _, row := range x {
		for i, v := range row {
			switch m.config.HiddenAct {
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

// apply is what the adapter of block l adds to the residual sum.
func (a *naiveAdapter) apply(x matrix, l int) matrix {
	d := len(x[0])
	z := make(matrix, len(x))
	for t, row := range x {
		for j := range a.b {
			sum := float64(a.downBias[l][j])
			for i, v := range row {
				sum += v * float64(a.down[l][i*a.b+j])
			}
			z[t] = append(z[t], sum)
		}
	}
	if a.norm {
		z = naiveNorm(z, a.normWeight[l], a.normBias[l], 1e-5)
	}
	out := make(matrix, len(x))
	for t, row := range z {
		for i := range d {
			sum := float64(a.upBias[l][i])
			for j, v := range row {
				if a.relu {
					v = max(0, v)
				}
				sum += v * float64(a.up[l][j*d+i])
			}
			out[t] = append(out[t], sum)
		}
	}
	return out
}

// forward is the last block's states.
func (m *naive) forward(e Encoding) matrix {
	all := m.states(e)
	return all[len(all)-1]
}

// states are the embeddings' and each block's.
func (m *naive) states(e Encoding) []matrix {
	all, _ := m.pass(e)
	return all
}

// stem is r = f + a of a block.
func (m *naive) stem(e Encoding, l int) matrix {
	_, rs := m.pass(e)
	return rs[l]
}

// pass is the states, and r = f + a of each block.
func (m *naive) pass(e Encoding) (all, rs []matrix) {
	x := m.embed(e)
	all = []matrix{x}
	for l := range m.config.NumHiddenLayers {
		block := fmt.Sprintf("encoder.layer.%d.", l)
		a := m.attention(x, block+"attention.")
		r := add(m.linear(m.activate(m.linear(a, block+"intermediate.dense")), block+"output.dense"), a)
		rs = append(rs, r)
		x = m.norm(r, block+"output.LayerNorm")
		if m.adapter != nil && l >= m.from {
			x = m.norm(add(m.adapter.apply(x, l), r), block+"output.LayerNorm")
		}
		all = append(all, x)
	}
	return all, rs
}

// pool is one vector of a text's states.
func (m *naive) pool(x matrix, p Pooling) []float32 {
	var out []float32
	switch p {
	case PoolMean:
		for i := range x[0] {
			sum := 0.0
			for _, row := range x {
				sum += row[i]
			}
			out = append(out, float32(sum/float64(len(x))))
		}
	case PoolCLS:
		out = flat(x[:1])
	case PoolPooler:
		for _, v := range m.linear(x[:1], "pooler.dense")[0] {
			out = append(out, float32(math.Tanh(v)))
		}
	}
	return out
}

func flat(x matrix) []float32 {
	var out []float32
	for _, row := range x {
		for _, v := range row {
			out = append(out, float32(v))
		}
	}
	return out
}
