package axes

import (
	"math"
	"slices"
	"unicode/utf8"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// maxLabelBytes is the longest label of a file; a head has none that is longer.
const (
	maxLabelBytes = 1 << 10
	_             = uint(maxLabelBytes - model.MaxLabelBytes)
)

// Joint are axes on which a population's people differ, trained jointly with their codes: of each
// axis a row for each label, over φ. A direction is an axis times ±K·2^-m·Range, for each digit m
// of 1 to the axis' Digits; a person's row takes one of each pair, K of the 2·K, and the plain
// average of what it takes is a number of ±Range on each axis.
//
// They are not changed after they were made; all methods may be called concurrently.
type Joint struct {
	Axes   bank.Digest // of the Axes whose taps, means and scales make φ
	Head   bank.Digest // of the head over φ that they were trained with
	Labels []string
	People int       // how many they were trained on
	V      []float32 // [J,C,D]: numbers that float16 holds
	B      []float32 // [J,C]: the same
	Range  []float32 // [J]
	Digits []int     // [J]
	Beta   float32   // precision of people's biases; 0 means 1

	// Of texts that have parts of their own beside φ, see Text.
	Keys []uint64  // [T], ascending
	Own  []float32 // [T,(1+J)·C]: numbers that float16 holds
}

// Count is J, the number of axes.
func (a *Joint) Count() int { return len(a.Digits) }

// Dim is D, the number of values of φ.
func (a *Joint) Dim() int { return len(a.V) / max(1, a.Count()*len(a.Labels)) }

// K is the number of digits of all axes: the bits of a row.
func (a *Joint) K() (k int) {
	for _, m := range a.Digits {
		k += m
	}
	return k
}

// Row is the row of a place on each axis, of 0 to 2^Digits − 1. The digits follow each other axis
// by axis, an axis' most significant first; bit i of a row, the least significant of its byte
// first, is the sign of digit i: 1 is plus.
func (a *Joint) Row(places []byte) []byte {
	row, i := make([]byte, (a.K()+7)/8), 0
	for j, m := range a.Digits {
		for digit := range m {
			row[i/8] |= places[j] >> (m - 1 - digit) & 1 << (i % 8)
			i++
		}
	}
	return row
}

// Places is the inverse of Row.
func (a *Joint) Places(row []byte) []byte {
	places, i := make([]byte, a.Count()), 0
	for j, m := range a.Digits {
		for range m {
			places[j] = places[j]<<1 | row[i/8]>>(i%8)&1
			i++
		}
	}
	return places
}

// Levels appends a row's number on each axis: Range · Σ_m ±2^-m.
func (a *Joint) Levels(dst []float32, row []byte) []float32 {
	for j, place := range a.Places(row) {
		dst = append(dst, a.Range[j]*float32((2*float64(place)+1)/math.Exp2(float64(a.Digits[j]))-1))
	}
	return dst
}

// AddRow folds a row: it adds Σ_j level_j·V_j to w, [C,D], and Σ_j level_j·B_j to bias, [C].
func (a *Joint) AddRow(w, bias []float32, row []byte) {
	size, labels := len(a.Labels)*a.Dim(), len(a.Labels)
	for j, level := range a.Levels(nil, row) {
		for i, v := range a.V[j*size : (j+1)*size] {
			w[i] += level * v
		}
		for c, v := range a.B[j*labels : (j+1)*labels] {
			bias[c] += level * v
		}
	}
}

// Properties are those of the bank: 2·K directions of a row a label, in one block.
func (a *Joint) Properties() bank.Properties {
	return bank.Properties{Origin: bank.JointAxes, N: 2 * a.K(), Blocks: 1, Hidden: a.Dim(), Bottleneck: len(a.Labels),
		DType: bank.F16, Axes: a.Count(), Texts: len(a.Keys)}
}

// check refuses what no joint axes are; the error wraps ErrInvalid.
func (a *Joint) check() error {
	J, C, D := a.Count(), len(a.Labels), a.Dim()
	if J < 1 || J > bank.MaxJointAxes || C < 2 || C > bank.MaxJointLabels || D < 1 || D > bank.MaxHidden ||
		a.People < 0 ||
		a.People > math.MaxInt32 {
		return invalidf("%d over %d values for %d labels, of %d people", J, D, C, a.People)
	}
	if !(a.Beta >= 0 && a.Beta <= maxValue) {
		return invalidf("biases of the precision %g", a.Beta)
	}
	if len(a.V) != J*C*D || len(a.B) != J*C || len(a.Range) != J || 2*int64(len(a.V)) > bank.MaxAxesBytes {
		return invalidf("%d entries, %d biases and %d ranges for %d axes and %d labels", len(a.V),
			len(a.B), len(a.Range), J, C)
	}
	for j, r := range a.Range {
		if !(r > 0 && r <= maxValue) || a.Digits[j] < 1 || a.Digits[j] > bank.MaxDigits {
			return invalidf("joint axis %d: %d digits of a range of %g", j, a.Digits[j], r)
		}
	}
	for c, label := range a.Labels {
		if label == "" || len(label) > maxLabelBytes || !utf8.ValidString(label) ||
			slices.Contains(a.Labels[:c], label) {
			return invalidf("label %d is %q", c, label)
		}
	}
	if err := a.checkTexts(); err != nil {
		return err
	}
	for _, x := range [][]float32{a.V, a.B, a.Own} {
		for i, v := range x {
			if !isHalf(v) {
				return invalidf("entry %d, %g, is none of float16", i, v)
			}
		}
	}
	return nil
}
