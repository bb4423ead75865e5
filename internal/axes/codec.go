package axes

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

const (
	axesVersion    = 1
	axesHeaderSize = 80 // what every file begins with, then the properties

	maxValue  = 1 << 20 // of means and scales, so that no text's φ overflows
	unitSlack = 0.02    // of an axis' squared length, which float16 rounds
)

// MarshalBinary returns the file of the axes (docs/format.md, "Axes"): equal axes are equal bytes.
func (a *Axes) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	props, _ := a.Properties().MarshalBinary() // which check validated
	b := binary.LittleEndian.AppendUint32([]byte(axesMagic), axesVersion)
	b = append(append(b, 0, 0, 0, 0), props...)
	b = appendHalves(appendFloats(appendFloats(b, a.Mean), a.Scale), a.V)
	binary.LittleEndian.PutUint32(b[atCRC:], checksum(b))
	return b, nil
}

// Unmarshal reads what MarshalBinary wrote and nothing else.
func Unmarshal(b []byte) (*Axes, error) {
	p, err := axesProperties(b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != axesHeaderSize+p.Bytes() {
		return nil, corruptf("%d bytes, want %d", len(b), axesHeaderSize+p.Bytes())
	}
	if err := checkCRC(b); err != nil {
		return nil, err
	}
	a := &Axes{Features: model.Features{Taps: p.TapList(), Hidden: p.Hidden}, Digits: p.Digits}
	a.Mean, b = floats(b[axesHeaderSize:], a.Dim())
	a.Scale, b = floats(b, len(a.Taps))
	a.V, _ = halves(b, p.N/(2*p.Digits)*a.Dim())
	if err := a.check(); err != nil {
		return nil, corruptf("%v", err)
	}
	return a, nil
}

// axesProperties reads the first axesHeaderSize bytes, which say how long the file must be.
func axesProperties(b []byte) (p bank.Properties, err error) {
	if len(b) < axesHeaderSize || !isAxes(b) {
		return p, corruptf("not a file of them")
	}
	if v := binary.LittleEndian.Uint32(b[atVersion:]); v != axesVersion {
		return p, &bank.UnsupportedError{Field: "version", Value: fmt.Sprint(v), Want: fmt.Sprint(axesVersion)}
	}
	if err := p.UnmarshalBinary(b[afterCRC:axesHeaderSize]); err != nil {
		return p, fmt.Errorf("axes: %w", err)
	}
	if p.Origin != bank.HeadAxes {
		return p, corruptf("the properties are of a %v bank", p.Origin)
	}
	return p, nil
}

// check refuses what no axes are; the error wraps ErrInvalid.
func (a *Axes) check() error {
	if !slices.IsSorted(a.Taps) || len(a.Taps) == 0 || a.Taps[0] < 0 || a.Taps[len(a.Taps)-1] > bank.MaxTap {
		return invalidf("taps %v, want ascending blocks of 0 to %d", a.Taps, bank.MaxTap)
	}
	if a.Hidden < 1 || len(a.Mean) != a.Dim() || len(a.Scale) != len(a.Taps) || len(a.V)%a.Dim() != 0 {
		return invalidf("%d means, %d scales and %d entries for %d taps of %d values", len(a.Mean),
			len(a.Scale), len(a.V), len(a.Taps), a.Hidden)
	}
	if err := a.Properties().Validate(); err != nil { // equal taps are one bit
		return err
	}
	for i, m := range a.Mean {
		if !(m >= -maxValue && m <= maxValue) {
			return invalidf("mean %d is %g", i, m)
		}
	}
	for i, s := range a.Scale {
		if !(s > 0 && s <= maxValue) {
			return invalidf("scale %d is %g", i, s)
		}
	}
	for j := range a.Count() {
		if err := checkAxis(a.V[j*a.Dim():][:a.Dim()]); err != nil {
			return invalidf("axis %d: %v", j, err)
		}
	}
	return nil
}

func checkAxis(v []float32) error {
	var square float64
	for i, x := range v {
		if !isHalf(x) {
			return fmt.Errorf("entry %d, %g, is none of float16", i, x)
		}
		square += float64(x) * float64(x)
	}
	if !(math.Abs(square-1) <= unitSlack) {
		return fmt.Errorf("its squared length is %g, want 1", square)
	}
	return nil
}
