// Package quant packs float32s into 8 bits each, with one step for all: what a profile stores of
// its small personal values.
//
// # Format
//
// The step as a little-endian float32, then a signed byte a value: value = byte · step.
package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrRange is a value, or a step, that is not finite or too large.
var ErrRange = errors.New("quant: out of range")

// maxStep keeps 127·step, and that added to any sane value, finite.
const maxStep = math.MaxFloat32 / 256

// Size is the bytes that n values take.
func Size(n int) int { return 4 + n }

// Append packs values. The largest error is half a step, a 254th of the largest value.
func Append(dst []byte, values []float32) ([]byte, error) {
	top := float32(0)
	for _, v := range values {
		top = max(top, float32(math.Abs(float64(v))))
	}
	step := top / 127
	if !(step < maxStep) {
		return dst, fmt.Errorf("%w: a value of %g", ErrRange, top)
	}
	dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(step))
	for _, v := range values {
		q := int8(0)
		if step > 0 {
			// The clamp is for steps so small that they were rounded by much themselves.
			q = int8(max(-127, min(127, math.RoundToEven(float64(v/step)))))
		}
		dst = append(dst, byte(q))
	}
	return dst, nil
}

// Decode unpacks into out; data has Size(len(out)) bytes. Any bytes are an error or finite values.
func Decode(out []float32, data []byte) error {
	if len(data) != Size(len(out)) {
		return fmt.Errorf("%w: %d bytes for %d values", ErrRange, len(data), len(out))
	}
	step := math.Float32frombits(binary.LittleEndian.Uint32(data))
	if !(step >= 0 && step < maxStep) {
		return fmt.Errorf("%w: a step of %g", ErrRange, step)
	}
	for i := range out {
		out[i] = float32(int8(data[4+i])) * step
	}
	return nil
}
