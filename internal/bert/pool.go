//go:build cgo

package bert

// #include "bert.h"
import "C"

import "math"

// pool takes states y [tokens,d] to vectors x [texts,d].
func (m *Model) pool(lengths []int32, y []float32, how Pooling, x []float32) {
	d, all := m.hidden, x
	for _, n := range lengths {
		row := x[:d]
		copy(row, y[:d])
		for t := 1; how == Mean && t < int(n); t++ {
			for i, v := range y[t*d : (t+1)*d] {
				row[i] += v
			}
		}
		for i := range row {
			if how == Mean {
				row[i] /= float32(n)
			}
		}
		x, y = x[d:], y[int(n)*d:]
	}
	if how != Pooler {
		return
	}
	z := make([]float32, len(all))
	C.bert_linear_apply(&m.pooler, ptr(all), C.int(len(lengths)), ptr(z))
	for i, v := range z {
		all[i] = float32(math.Tanh(float64(v)))
	}
}
