package folder

import (
	"math"
	"strconv"
)

// A profile that learns numbers has them where others have labels: the byte 1 and the shortest
// decimal that gives the number back. No label begins with that byte.
const numberMark = 0x01

// NumberLabel is a number as it is stored with an example.
func NumberLabel(v float64) string {
	return string(rune(numberMark)) + strconv.FormatFloat(v, 'g', -1, 64)
}

// Number reads what NumberLabel made; ok is false for a label.
func Number(label string) (v float64, ok bool) {
	if !IsNumber(label) {
		return 0, false
	}
	v, err := strconv.ParseFloat(label[1:], 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// IsNumber says whether a label begins like a number, which no user's label may.
func IsNumber(label string) bool { return label != "" && label[0] == numberMark }
