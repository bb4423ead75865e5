package dense

import (
	"fmt"
	"math"
)

// piece of a sum that stays in the first cache.
const piece = 1024

// Mean is the average of table's rows ids, each len(dst) long: zeros of no rows. Four rows are
// added at once, so that four streams of memory are under way. Its bits are the same on every
// processor.
func Mean(dst, table []float32, ids []int32) { mean(dst, table, ids, add4, add1) }

// MeanHalf is Mean of finite float16s.
func MeanHalf(dst []float32, table []uint16, ids []int32) {
	mean(dst, table, ids, add4Half, add1Half)
}

func mean[T float32 | uint16](dst []float32, table []T, ids []int32, four func(sum []float32, a, b, c, d []T),
	one func(sum []float32, a []T)) {
	width := len(dst)
	for _, id := range ids {
		if id < 0 || (int(id)+1)*width > len(table) {
			panic(fmt.Sprintf("dense: row %d of %d values, in a table of %d", id, width, len(table)))
		}
	}
	clear(dst)
	for from := 0; from < width && len(ids) > 0; from += piece {
		sum, i := dst[from:min(from+piece, width)], 0
		row := func(i int) []T { return table[int(ids[i])*width+from:][:len(sum)] }
		for ; i+4 <= len(ids); i += 4 {
			four(sum, row(i), row(i+1), row(i+2), row(i+3))
		}
		for ; i < len(ids); i++ {
			one(sum, row(i))
		}
		for j := range sum {
			sum[j] /= float32(len(ids))
		}
	}
}

func add4Go(sum, a, b, c, d []float32) {
	for j := range sum {
		sum[j] += (a[j] + b[j]) + (c[j] + d[j])
	}
}

func add1Go(sum, a []float32) {
	for j := range sum {
		sum[j] += a[j]
	}
}

func add4HalfGo(sum []float32, a, b, c, d []uint16) {
	for j := range sum {
		sum[j] += (widen(a[j]) + widen(b[j])) + (widen(c[j]) + widen(d[j]))
	}
}

func add1HalfGo(sum []float32, a []uint16) {
	for j := range sum {
		sum[j] += widen(a[j])
	}
}

// widen is exact for what is finite: a half's exponent and fraction, put where a float has them,
// are 2^112 times too small.
func widen(h uint16) float32 {
	v := math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112
	return math.Float32frombits(math.Float32bits(v) | uint32(h&0x8000)<<16)
}
