package bert

import (
	"encoding/binary"
	"math"
)

// Precision is what the blocks' linear layers are computed in. All else is in float32.
type Precision int

const (
	Float32  Precision = iota
	Int16              // weights of 16 bits with a scale an output, inputs of 13 with a range a token
	Int8               // the same in 8 bits: faster, but it changes answers; docs/decisions.md
	BFloat16           // weights and inputs of 16 bits, eight of them an exponent's: for AMX
)

var precisions = map[Precision]string{Float32: "float32", Int16: "int16", Int8: "int8", BFloat16: "bfloat16"}

// String is the name as options have it.
func (p Precision) String() string { return precisions[p] }

// quantized is a linear layer below float32; bert.h says what each part is.
type quantized struct {
	Q           []byte
	Scale, Sums []float32
}

// quantize gives each output of l a scale, such that no sum of products can leave 32 bits: the
// inputs are below a bound, and so is the sum of an output's weights' sizes.
func quantize(l Linear, p Precision, panel int) quantized {
	if p == BFloat16 {
		return quantized{Q: shorten(l, panel)}
	}
	most, input, size := 127., 255., 1
	if p == Int16 {
		most, input, size = 32767, 4097, 2
	}
	outs, ins := roundUp(l.Out, panel), roundUp(l.In*size, 64)
	q := quantized{Q: make([]byte, outs*ins), Scale: make([]float32, outs), Sums: make([]float32, outs)}
	room := math.MaxInt32/input - float64(l.In) // of the sum of the sizes, before they are rounded
	for j := range l.Out {
		row := l.W[j*l.In : (j+1)*l.In]
		largest, sizes, finite := 0., 0., 0.
		for _, w := range row {
			w := math.Abs(float64(w))
			largest, sizes, finite = max(largest, w), sizes+w, finite+0*w
		}
		scale, sum := max(largest/most, sizes/room)+finite, 0
		for k, w := range row {
			v := 0
			if scale > 0 {
				v = int(math.RoundToEven(float64(w) / scale))
			}
			sum += v
			at := place(j, k*size, panel, ins)
			if q.Q[at] = byte(v); size == 2 {
				q.Q[at+1] = byte(v >> 8)
			}
		}
		q.Scale[j], q.Sums[j] = float32(scale), float32(scale*float64(sum))
	}
	return q
}

// place is where byte k of output j lies, of panels whose outputs take so many bytes each.
func place(j, k, panel, bytes int) int { return j/panel*panel*bytes + j%panel*4 + k/4*4*panel + k%4 }

// shorten makes weights bfloat16.
func shorten(l Linear, panel int) []byte {
	bytes := roundUp(2*l.In, 64)
	q := make([]byte, roundUp(l.Out, panel)*bytes)
	for i, w := range l.W {
		binary.LittleEndian.PutUint16(q[place(i/l.In, i%l.In*2, panel, bytes):], bfloat16(w))
	}
	return q
}

// bfloat16 is the upper half of a float that rounds to the nearest, of two the even one.
func bfloat16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16 | 0x40)
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
