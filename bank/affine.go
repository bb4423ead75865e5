package bank

import (
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/quant"
)

// A profile's LN_b affine is stored as its difference from the bank's default, 8 bits a value: per
// block a float32 scale and 2·b signed bytes. L·(4 + 2·b) bytes: 312 for L=6, b=24.

// affineBytes is the size of an encoded affine.
func (p Properties) affineBytes() int { return p.Blocks * quant.Size(2*p.Bottleneck) }

// EncodeAffine packs affine, [L][2][b]; both slices have AffineElems values. The largest error is
// half a step of the block's scale.
func (p Properties) EncodeAffine(affine, base []float32) ([]byte, error) {
	n := p.AffineElems()
	if len(affine) != n || len(base) != n {
		return nil, fmt.Errorf("%w: affine of %d values over %d, want %d", ErrInvalid, len(affine), len(base), n)
	}
	out, diff := make([]byte, 0, p.affineBytes()), make([]float32, 2*p.Bottleneck)
	for l := range p.Blocks {
		at := l * len(diff)
		for i := range diff {
			diff[i] = affine[at+i] - base[at+i]
		}
		var err error
		if out, err = quant.Append(out, diff); err != nil {
			return nil, fmt.Errorf("%w: affine of block %d: %w", ErrInvalid, l, err)
		}
	}
	return out, nil
}

// DecodeAffine is base plus the stored differences. Any bytes are an error or a finite affine.
func (p Properties) DecodeAffine(data []byte, base []float32) ([]float32, error) {
	if len(data) != p.affineBytes() || len(base) != p.AffineElems() {
		return nil, fmt.Errorf("%w: affine of %d bytes, want %d", ErrCorrupt, len(data), p.affineBytes())
	}
	out, width := make([]float32, len(base)), 2*p.Bottleneck
	for l := range p.Blocks {
		block, size := out[l*width:(l+1)*width], quant.Size(width)
		if err := quant.Decode(block, data[l*size:(l+1)*size]); err != nil {
			return nil, fmt.Errorf("%w: affine of block %d: %w", ErrCorrupt, l, err)
		}
		for i := range block {
			if block[i] += base[l*width+i]; block[i]-block[i] != 0 {
				return nil, fmt.Errorf("%w: affine of block %d is not finite", ErrCorrupt, l)
			}
		}
	}
	return out, nil
}

// affineOff is what rounding an affine of zero to 8 bits leaves of it.
const affineOff = 1e-6

// OffBelow says whether an affine, [L][2][b], turns off all adapters but those of the last top
// blocks: it is zero there, so that LN_b gives nothing on.
func (p Properties) OffBelow(affine []float32, top int) bool {
	below := affine[:2*p.Bottleneck*max(0, p.Blocks-top)]
	return !slices.ContainsFunc(below, func(x float32) bool { return math.Abs(float64(x)) > affineOff })
}
