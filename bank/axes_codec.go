package bank

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"

	"github.com/xpeft/xpeft/internal/half"
)

const (
	axesMagic      = "XPFTAXES"
	axesVersion    = 1
	axesHeaderSize = 80

	// Offsets in the header.
	atAxesVersion    = 8
	atAxesCRC        = 12
	atAxesProperties = 16

	maxAxesValue = 1 << 20 // of means and scales, so that no text's φ overflows
	unitSlack    = 0.02    // of an axis' squared length, which float16 rounds
)

// IsAxes says whether a file that begins so holds axes.
func IsAxes(head []byte) bool { return bytes.HasPrefix(head, []byte(axesMagic)) }

// MarshalBinary returns the file of the axes (docs/format.md, "Axes"): equal axes are equal bytes.
func (a *Axes) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	props, err := a.Properties().MarshalBinary()
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	b := make([]byte, atAxesProperties, axesHeaderSize+a.Properties().Bytes())
	copy(b, axesMagic)
	le.PutUint32(b[atAxesVersion:], axesVersion)
	b = append(b, props...)
	b = appendEntries(b, a.Mean, F32)
	b = appendEntries(b, a.Scale, F32)
	b = appendEntries(b, a.V, F16)
	le.PutUint32(b[atAxesCRC:], axesCRC(b))
	return b, nil
}

// axesCRC covers all but its own four bytes.
func axesCRC(b []byte) uint32 {
	crc := crc32.Checksum(b[:atAxesCRC], castagnoli)
	return crc32.Update(crc, castagnoli, b[atAxesProperties:])
}

// Digest is the SHA-256 of the file of the axes: their name in a folder. It is computed anew.
func (a *Axes) Digest() (Digest, error) {
	b, err := a.MarshalBinary()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(b), nil
}

// UnmarshalAxes reads what MarshalBinary wrote and nothing else.
func UnmarshalAxes(b []byte) (*Axes, error) {
	p, err := axesProperties(b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != axesHeaderSize+p.Bytes() {
		return nil, corruptf("axes: %d bytes, want %d", len(b), axesHeaderSize+p.Bytes())
	}
	if got, want := binary.LittleEndian.Uint32(b[atAxesCRC:]), axesCRC(b); got != want {
		return nil, corruptf("axes: CRC %08x, want %08x", got, want)
	}
	a := &Axes{Taps: p.TapList(), Hidden: p.Hidden, Digits: p.Digits}
	a.Mean, a.Scale = make([]float32, a.Dim()), make([]float32, len(a.Taps))
	a.V = make([]float32, p.axes()*a.Dim())
	b = b[axesHeaderSize:]
	decodeEntries(a.Mean, b, F32)
	b = b[4*len(a.Mean):]
	decodeEntries(a.Scale, b, F32)
	decodeEntries(a.V, b[4*len(a.Scale):], F16)
	if err := a.check(); err != nil {
		return nil, corruptf("%v", err)
	}
	return a, nil
}

// axesProperties reads the first axesHeaderSize bytes, which say how long the file must be.
func axesProperties(b []byte) (Properties, error) {
	if len(b) < axesHeaderSize || !IsAxes(b) {
		return Properties{}, corruptf("axes: not a file of them")
	}
	if v := binary.LittleEndian.Uint32(b[atAxesVersion:]); v != axesVersion {
		return Properties{}, &UnsupportedError{Field: "version", Value: fmt.Sprint(v), Want: fmt.Sprint(axesVersion)}
	}
	var p Properties
	if err := p.UnmarshalBinary(b[atAxesProperties:axesHeaderSize]); err != nil {
		return Properties{}, fmt.Errorf("axes: %w", err)
	}
	if p.Origin != HeadAxes {
		return Properties{}, corruptf("axes: the properties are of a %v bank", p.Origin)
	}
	return p, nil
}

// check refuses what no axes are; the error wraps ErrInvalid.
func (a *Axes) check() error {
	if !slices.IsSorted(a.Taps) || len(a.Taps) == 0 || a.Taps[0] < 0 || a.Taps[len(a.Taps)-1] > MaxTap {
		return invalidf("axes: taps %v, want ascending blocks of 0 to %d", a.Taps, MaxTap)
	}
	if a.Hidden < 1 || len(a.Mean) != a.Dim() || len(a.Scale) != len(a.Taps) || len(a.V)%a.Dim() != 0 {
		return invalidf("axes: %d means, %d scales and %d entries for %d taps of %d values", len(a.Mean),
			len(a.Scale), len(a.V), len(a.Taps), a.Hidden)
	}
	if err := a.Properties().Validate(); err != nil { // equal taps are one bit
		return err
	}
	for i, m := range a.Mean {
		if !(m >= -maxAxesValue && m <= maxAxesValue) {
			return invalidf("axes: mean %d is %g", i, m)
		}
	}
	for i, s := range a.Scale {
		if !(s > 0 && s <= maxAxesValue) {
			return invalidf("axes: scale %d is %g", i, s)
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
		if math.Float32bits(half.To(half.From(x))) != math.Float32bits(x) {
			return fmt.Errorf("entry %d, %g, is none of float16", i, x)
		}
		square += float64(x) * float64(x)
	}
	if !(math.Abs(square-1) <= unitSlack) {
		return fmt.Errorf("its squared length is %g, want 1", square)
	}
	return nil
}

// SaveAxes writes axes into the folder dir, which must exist, as a file named by their digest,
// atomically as Save does.
func SaveAxes(dir string, a *Axes) (Digest, error) {
	b, err := a.MarshalBinary()
	if err != nil {
		return Digest{}, err
	}
	return create(dir, func(t *os.File) (Digest, string, error) {
		if _, err := t.Write(b); err != nil {
			return Digest{}, "", fmt.Errorf("bank: write: %w", err)
		}
		d := Digest(sha256.Sum256(b))
		return d, d.String(), nil
	})
}

func receiveAxes(ctx context.Context, t *os.File, r io.Reader, head []byte) (Digest, error) {
	p, err := axesProperties(head)
	if err != nil {
		return Digest{}, err
	}
	if err := copyFile(ctx, t, r, head, axesHeaderSize+p.Bytes()); err != nil {
		return Digest{}, err
	}
	f, err := OpenAxes(t.Name())
	if err != nil {
		return Digest{}, err
	}
	return f.Digest(), nil
}
