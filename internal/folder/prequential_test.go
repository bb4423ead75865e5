package folder

import (
	"encoding/binary"
	"math"
	"testing"
)

func sumBytes(sums ...float32) (b []byte) {
	for _, x := range sums {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// TestPrequential: shares are between 0 and 1 whatever a bundle brought, and nothing is measured of
// bytes that are none of ours.
func TestPrequential(t *testing.T) {
	inf := float32(math.Inf(1))
	for name, test := range map[string]struct {
		b    []byte
		want Prequential
	}{
		"nothing":     {nil, Prequential{}},
		"cut":         {sumBytes(4, 3, 2), Prequential{}},
		"longer":      {sumBytes(4, 3, 2, 1, 0), Prequential{}},
		"shares":      {sumBytes(4, 3, 2, 1), Prequential{4, 0.75, 0.5, 0.25}},
		"over all":    {sumBytes(1, 3, 2, 1), Prequential{1, 1, 1, 1}},
		"no numbers":  {sumBytes(4, float32(math.NaN()), -1, inf), Prequential{N: 4}},
		"no examples": {sumBytes(0, 3, 2, 1), Prequential{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := PrequentialOf(test.b); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
