package bank

import (
	"math"
	"testing"
)

func TestNotFinite(t *testing.T) {
	for _, dtype := range []DType{F32, F16} {
		for n := range 9 {
			for at := range n {
				v := make([]float32, n)
				for i := range v {
					v[i] = -65504 // the largest half; its exponent is one below that of Inf
				}
				if got := notFinite(appendEntries(nil, v, dtype), dtype); got != -1 {
					t.Errorf("%v, %d finite entries: got %d, want -1", dtype, n, got)
				}
				for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					v[at] = float32(bad)
					if got := notFinite(appendEntries(nil, v, dtype), dtype); got != at {
						t.Errorf("%v, %v as entry %d of %d: got %d", dtype, bad, at, n, got)
					}
				}
			}
		}
	}
}
