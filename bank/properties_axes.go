package bank

import "math/bits"

// Limits of axes: they keep what a stream can ask for small.
const (
	MaxAxesBytes   = 256 << 20 // of all values, as stored
	MaxDigits      = 8         // of an axis
	MaxTap         = 63        // the last block whose states can be read
	MaxJointAxes   = 8
	MaxJointLabels = 1 << 10
	MaxJointTexts  = 1 << 20
)

// TapList are the blocks whose states axes with these properties read, ascending.
func (p Properties) TapList() []int {
	var taps []int
	for left := p.Taps; left != 0; left &= left - 1 {
		taps = append(taps, bits.TrailingZeros64(left))
	}
	return taps
}

// axes is A of properties that pass Validate.
func (p Properties) axes() int { return p.N / (2 * p.Digits) }

// axesBytes counts means and scales in float32, axes in float16.
func (p Properties) axesBytes() int64 {
	dim := int64(p.Hidden) * int64(p.Bottleneck)
	return 4*(dim+int64(p.Bottleneck)) + 2*dim*int64(p.N)/int64(2*max(p.Digits, 1))
}

func (p Properties) validateAxes(bad func(string, ...any)) {
	p.validateSeedless(bad)
	if p.Blocks != 1 || p.Activation != Identity || p.NormB || p.Bias || p.DType != F16 {
		bad("axes are F16 in one block, without activation, LN_b and biases")
	}
	if got := bits.OnesCount64(p.Taps); got == 0 || got != p.Bottleneck {
		bad("Bottleneck is %d, and there are %d taps", p.Bottleneck, got)
	}
	switch {
	case p.Digits < 1 || p.Digits > MaxDigits:
		bad("Digits is %d, want 1 to %d", p.Digits, MaxDigits)
	case p.N%(2*p.Digits) != 0:
		bad("N is %d, want a multiple of twice the %d digits", p.N, p.Digits)
	case int64(p.axes()) > int64(p.Hidden)*int64(p.Bottleneck):
		bad("%d axes of %d × %d values, more than there can be", p.axes(), p.Bottleneck, p.Hidden)
	case p.axesBytes() > MaxAxesBytes:
		bad("axes of %d bytes, want at most %d", p.axesBytes(), MaxAxesBytes)
	}
}

// jointBytes counts rows and biases in float16, ranges in float32, digits, and what there is of
// single texts.
func (p Properties) jointBytes() int64 {
	labels, axes := int64(p.Bottleneck), int64(p.Axes)
	return axes*(5+2*labels*(int64(p.Hidden)+1)) + int64(p.Texts)*(8+2*(1+axes)*labels)
}

func (p Properties) validateJoint(bad func(string, ...any)) {
	p.validateSeedless(bad)
	if p.Blocks != 1 || p.Activation != Identity || p.NormB || p.Bias || p.DType != F16 {
		bad("joint axes are F16 in one block, without activation, LN_b and biases")
	}
	if p.Axes < 1 || p.Axes > MaxJointAxes || p.N%2 != 0 || p.N < 2*p.Axes || p.N > 2*p.Axes*MaxDigits {
		bad("%d directions on %d axes", p.N, p.Axes)
	}
	if p.Bottleneck < 2 || p.Bottleneck > MaxJointLabels || p.jointBytes() > 2*MaxAxesBytes {
		bad("joint axes of %d bytes for %d labels", p.jointBytes(), p.Bottleneck)
	}
	if p.Texts < 0 || p.Texts > MaxJointTexts {
		bad("joint axes with parts of %d texts", p.Texts)
	}
}
