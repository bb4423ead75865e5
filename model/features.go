package model

import "math"

// Features are φ, what a head can see of a text instead of its pooled embedding: the mean-pooled
// states after some blocks, the taps, each centred and scaled. They are not changed after they were
// made; all methods may be called concurrently.
type Features struct {
	Taps   []int     // blocks, ascending; 0 is the embeddings' output
	Hidden int       // d
	Mean   []float32 // [T,d]
	Scale  []float32 // [T]
}

// Dim is the number of values of φ: T·d.
func (f *Features) Dim() int { return len(f.Taps) * f.Hidden }

// Phi appends φ of each text to dst, [n,Dim]: states are the mean-pooled states after the taps,
// [n,T·d].
func (f *Features) Phi(dst, states []float32) []float32 {
	for len(states) > 0 {
		for t := range f.Taps {
			scale := f.Factor(t)
			mean := f.Mean[t*f.Hidden:][:f.Hidden]
			for i, m := range mean {
				dst = append(dst, (states[i]-m)*scale)
			}
			states = states[f.Hidden:]
		}
	}
	return dst
}

// Factor is what Phi multiplies the centred states of a tap by.
func (f *Features) Factor(tap int) float32 {
	return float32(float64(f.Scale[tap]) / math.Sqrt(float64(len(f.Taps))))
}

// Gradient writes a loss' gradient by the states after the last taps, [k·d], out of that by φ.
func (f *Features) Gradient(dstates, dphi []float32) {
	first := len(f.Taps) - len(dstates)/f.Hidden
	for i, g := range dphi[first*f.Hidden:] {
		dstates[i] = g * f.Factor(first+i/f.Hidden)
	}
}
