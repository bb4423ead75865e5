//go:build cgo

package bert

// #include "bert.h"
import "C"

import "math"

// Pool is tanh(W·x + b) by the model's pooler, for rows of x [n,d], in place.
func (m *Model) Pool(x []float32) {
	y := make([]float32, len(x))
	C.bert_linear_apply(&m.pooler, ptr(x), C.int(len(x)/m.hidden), ptr(y))
	for i, v := range y {
		x[i] = float32(math.Tanh(float64(v)))
	}
}
