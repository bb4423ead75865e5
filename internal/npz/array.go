package npz

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xpeft/xpeft/internal/half"
)

// Array is an array in the order of C, of Numbers or of Strings.
type Array struct {
	Shape   []int
	Numbers []float64
	Strings []string // nil: it is one of numbers
}

const magic = "\x93NUMPY"

// decode reads a .npy file and nothing else.
func decode(b []byte) (a Array, err error) {
	text, data, err := split(b)
	if err != nil {
		return a, err
	}
	descr, order, shape, ok := header(text)
	if !ok {
		if strings.Contains(text, "'descr': [") {
			return a, formatf("an array of records, want numbers or strings")
		}
		return a, formatf("the header is %.80q", text)
	}
	n, err := a.setShape(shape)
	if err != nil {
		return a, err
	}
	if err := a.fill(descr, n, data); err != nil {
		return a, err
	}
	if order == "True" && len(a.Shape) > 1 && n > 0 {
		return a.transposed()
	}
	return a, nil
}

// header are the values of the dictionary as NumPy writes it, in which nothing can be computed.
func header(text string) (descr, order, shape string, ok bool) {
	text, begins := strings.CutPrefix(text, "{'descr': '")
	descr, text, typed := strings.Cut(text, "', 'fortran_order': ")
	order, text, ordered := strings.Cut(text, ", 'shape': (")
	shape, end, shaped := strings.Cut(text, ")")
	end = strings.TrimRight(end, " \n")
	ok = begins && typed && ordered && shaped && (order == "True" || order == "False") && (end == ", }" || end == "}")
	return descr, order, shape, ok
}

// split is the header's text, and what comes behind it.
func split(b []byte) (text string, data []byte, err error) {
	if len(b) < 12 || string(b[:6]) != magic || b[6] < 1 || b[6] > 3 {
		return "", nil, formatf("no array of version 1 to 3")
	}
	n, at := int(le.Uint16(b[8:])), 10
	if b[6] > 1 {
		wide := le.Uint32(b[8:])
		n, at = int(min(wide, maxHeader+1)), 12
	}
	if n > maxHeader || n > len(b)-at {
		return "", nil, formatf("a header of %d bytes in a file of %d", n, len(b))
	}
	return string(b[at : at+n]), b[at+n:], nil
}

// setShape returns the number of entries.
func (a *Array) setShape(list string) (n int, err error) {
	n, a.Shape = 1, []int{}
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		size, err := strconv.Atoi(part)
		if err != nil || size < 0 || size > math.MaxInt32 || len(a.Shape) == maxRank {
			return 0, formatf("the shape (%.60s)", list)
		}
		if size > 0 && n > math.MaxInt32/size {
			return 0, formatf("the shape (%.60s) overflows", list)
		}
		n, a.Shape = n*size, append(a.Shape, size)
	}
	return n, nil
}

// fill reads n entries of a type.
func (a *Array) fill(descr string, n int, data []byte) error {
	if strings.HasSuffix(descr, "O") {
		return formatf("an array of Python objects, which is a pickle and is not read: " +
			"save labels with np.array(labels, dtype=str)")
	}
	if kind := strings.TrimLeft(descr, "<|"); kind != "" && (kind[0] == 'U' || kind[0] == 'S') {
		return a.fillStrings(kind, n, data)
	}
	of, ok := numbers[descr]
	switch {
	case !ok:
		return formatf("entries of type %q, want little-endian numbers, or strings", descr)
	case len(data) != n*of.size:
		return formatf("%d bytes, want %d entries of %d", len(data), n, of.size)
	}
	a.Numbers = make([]float64, n)
	for i := range a.Numbers {
		a.Numbers[i] = of.read(data[i*of.size:])
	}
	return nil
}

var le = binary.LittleEndian

// numbers are the types of entries: their bytes, and how one is read.
var numbers = map[string]struct {
	size int
	read func(b []byte) float64
}{
	"<f8": {8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }},
	"<f4": {4, func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }},
	"<f2": {2, func(b []byte) float64 { return float64(half.To(le.Uint16(b))) }},
	"<i8": {8, func(b []byte) float64 { return float64(int64(le.Uint64(b))) }},
	"<u8": {8, func(b []byte) float64 { return float64(le.Uint64(b)) }},
	"<i4": {4, func(b []byte) float64 { return float64(int32(le.Uint32(b))) }},
	"<u4": {4, func(b []byte) float64 { return float64(le.Uint32(b)) }},
	"<i2": {2, func(b []byte) float64 { return float64(int16(le.Uint16(b))) }},
	"<u2": {2, func(b []byte) float64 { return float64(le.Uint16(b)) }},
	"|i1": {1, func(b []byte) float64 { return float64(int8(b[0])) }},
	"|u1": {1, func(b []byte) float64 { return float64(b[0]) }},
	"|b1": {1, func(b []byte) float64 { return float64(b[0]) }},
}

// fillStrings reads entries of one length in characters of four bytes (U) or one (S), which zeros
// fill up.
func (a *Array) fillStrings(kind string, n int, data []byte) error {
	chars, err := strconv.Atoi(kind[1:])
	width := 1
	if kind[0] == 'U' {
		width = 4
	}
	if err != nil || chars < 0 || chars > maxString || len(data) != n*chars*width || n > len(data) {
		return formatf("%d bytes of %d strings of type %q", len(data), n, kind)
	}
	a.Strings = make([]string, n)
	for i := range a.Strings {
		entry := data[i*chars*width : (i+1)*chars*width]
		if width == 1 {
			a.Strings[i] = strings.TrimRight(string(entry), "\x00")
		} else {
			var s strings.Builder
			for j := range chars {
				c := le.Uint32(entry[4*j:])
				if c > utf8.MaxRune {
					return formatf("string %d has the character %#x", i, c)
				}
				s.WriteRune(rune(c))
			}
			a.Strings[i] = strings.TrimRight(s.String(), "\x00")
		}
		if !utf8.ValidString(a.Strings[i]) {
			return formatf("string %d is not UTF-8", i)
		}
	}
	return nil
}

// transposed is a matrix whose entries were in Fortran's order.
func (a Array) transposed() (Array, error) {
	if len(a.Shape) != 2 || a.Strings != nil {
		return a, formatf("%d dimensions in Fortran's order, want a matrix of numbers", len(a.Shape))
	}
	out := Array{Shape: a.Shape, Numbers: make([]float64, len(a.Numbers))}
	rows, cols := a.Shape[0], a.Shape[1]
	for i := range rows {
		for j := range cols {
			out.Numbers[i*cols+j] = a.Numbers[j*rows+i]
		}
	}
	return out, nil
}

// encode writes a .npy file of version 1.
func encode(a Array) ([]byte, error) {
	descr, data := "<f4", []byte(nil)
	for _, v := range a.Numbers {
		data = le.AppendUint32(data, math.Float32bits(float32(v)))
	}
	if a.Strings != nil {
		chars := 1
		for _, s := range a.Strings {
			chars = max(chars, utf8.RuneCountInString(s))
		}
		descr = fmt.Sprintf("<U%d", chars)
		for _, s := range a.Strings {
			for _, c := range s {
				data = le.AppendUint32(data, uint32(c))
			}
			data = append(data, make([]byte, 4*(chars-utf8.RuneCountInString(s)))...)
		}
	}
	var sizes []string
	for _, n := range a.Shape {
		sizes = append(sizes, strconv.Itoa(n))
	}
	shape := strings.Join(sizes, ", ")
	if len(sizes) == 1 { // a comma ends that of one dimension
		shape += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
	const aligned = 64
	pad := aligned - (len(magic)+4+len(text)+1)%aligned
	text += strings.Repeat(" ", pad%aligned) + "\n"
	if len(text) > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes", len(text))
	}
	out := le.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(text)))
	return append(append(out, text...), data...), nil
}
