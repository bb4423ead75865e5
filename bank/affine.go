package bank

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A profile's LN_b affine is stored as its difference from the bank's default, 8 bits a value: per block a float32 scale and 2·b
// signed bytes. L·(4 + 2·b) bytes: 312 for L=6, b=24.

// AffineBytes is the size of an encoded affine.
func (p Properties) AffineBytes() int { return p.Blocks * (4 + 2*p.Bottleneck) }

// maxStep keeps base + 127·step finite for any sane base.
const maxStep = math.MaxFloat32 / 256

// EncodeAffine packs affine, [L][2][b]; both slices have AffineElems values. The largest error is half a step of the block's scale.
func (p Properties) EncodeAffine(affine, base []float32) ([]byte, error) {
	n := p.AffineElems()
	if len(affine) != n || len(base) != n {
		return nil, fmt.Errorf("%w: affine of %d values over %d, want %d", ErrInvalid, len(affine), len(base), n)
	}
	out, width := make([]byte, 0, p.AffineBytes()), 2*p.Bottleneck
	for l := range p.Blocks {
		a, z := affine[l*width:(l+1)*width], base[l*width:(l+1)*width]
		top := float32(0)
		for i := range a {
			top = max(top, float32(math.Abs(float64(a[i]-z[i]))))
		}
		step := top / 127
		if !(step <= maxStep) {
			return nil, fmt.Errorf("%w: affine of block %d is %g away from the bank's", ErrInvalid, l, top)
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(step))
		for i := range a {
			q := int8(0)
			if step > 0 {
				// The clamp is for steps so small that they were rounded by much themselves.
				q = int8(max(-127, min(127, math.RoundToEven(float64((a[i]-z[i])/step)))))
			}
			out = append(out, byte(q))
		}
	}
	return out, nil
}

// DecodeAffine is base plus the stored differences. Any bytes are an error or a finite affine.
func (p Properties) DecodeAffine(data []byte, base []float32) ([]float32, error) {
	if len(data) != p.AffineBytes() || len(base) != p.AffineElems() {
		return nil, fmt.Errorf("%w: affine of %d bytes, want %d", ErrCorrupt, len(data), p.AffineBytes())
	}
	out, width := make([]float32, 0, len(base)), 2*p.Bottleneck
	for l := range p.Blocks {
		step := math.Float32frombits(binary.LittleEndian.Uint32(data))
		if !(step >= 0 && step <= maxStep) {
			return nil, fmt.Errorf("%w: affine of block %d has a step of %g", ErrCorrupt, l, step)
		}
		for i := range width {
			v := base[l*width+i] + float32(float32(int8(data[4+i]))*step)
			if v-v != 0 {
				return nil, fmt.Errorf("%w: affine of block %d is not finite", ErrCorrupt, l)
			}
			out = append(out, v)
		}
		data = data[4+width:]
	}
	return out, nil
}
