//go:build cgo

package bert

// #include "bert.h"
import "C"

import "math"

// pool takes states y [tokens,d] to vectors x [texts,d].
func (m *Model) pool(lengths []int32, y []float32, how Pooling, x []float32) {
	d, all := m.hidden, x
	if how == Mean {
		C.bert_mean(ptr(y), ints(lengths), C.int(len(lengths)), C.int(d), ptr(x), C.size_t(d))
		return
	}
	for _, n := range lengths {
		copy(x[:d], y[:d])
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
