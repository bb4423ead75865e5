package model

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// ErrHead is a head whose shapes, labels, weights or bytes are bad.
var ErrHead = errors.New("model: bad head")

// Head is a classifier or a regressor over a pooled embedding x of d values: W·x + B, or
// W·tanh(W1·x + B1) + B, the two-layer head that AdapterHub and the paper use. It is immutable once
// it is in use. It runs in Go, so rows of one batch may have heads of different labels: a linear
// head of 30 labels at d=384 costs about 10 µs a row.
type Head struct {
	Labels []string  // C labels; none for a regressor
	Hidden int       // d
	W      []float32 // [C,d]; [1,d] for a regressor
	B      []float32 // [C]
	W1     []float32 // [d,d]; nil for a linear head
	B1     []float32 // [d]; nil for a linear head
	Counts []uint32  // [C]: how often each label was in the examples that it was trained on; zeros for an untrained one
}

// Limits of a head that comes from outside.
const (
	MaxLabels     = 4096
	MaxLabelBytes = 256
	maxHidden     = 65_536
)

// Outputs is C, or 1 for a regressor.
func (h *Head) Outputs() int { return max(1, len(h.Labels)) }

// Regression says whether the head gives a number instead of labels.
func (h *Head) Regression() bool { return len(h.Labels) == 0 }

// Label is the index of a label. White space around it and Unicode's forms do not count, unless the
// head has a label that is the very same.
func (h *Head) Label(label string) (int, bool) {
	i := slices.Index(h.Labels, label)
	if i < 0 {
		label = CleanLabel(label)
		i = slices.IndexFunc(h.Labels, func(l string) bool { return CleanLabel(l) == label })
	}
	return i, i >= 0
}

// CleanLabel is a label without the white space around it, in Unicode's composed form: labels that
// look alike are one.
func CleanLabel(label string) string { return norm.NFC.String(strings.TrimSpace(label)) }

// Clone copies the head's weights, so that they may be trained.
func (h *Head) Clone() *Head {
	c := *h
	c.Labels = slices.Clone(h.Labels)
	c.W, c.B, c.W1, c.B1 = slices.Clone(h.W), slices.Clone(h.B), slices.Clone(h.W1), slices.Clone(h.B1)
	c.Counts = slices.Clone(h.Counts)
	return &c
}

// With is h with the rows of one more head, of labels that h does not have. They see what h's last
// layer sees, or, with fewer values, the last ones of it. Each counts as seen as often as a label
// of h on average, so that Prior neither favours them nor the others. ErrHead if the two do not go
// together.
func (h *Head) With(rows *Head) (*Head, error) {
	if h.Regression() || rows.Regression() || rows.W1 != nil || rows.Hidden > h.Hidden {
		return nil, fmt.Errorf("%w: rows of %d labels over %d values beside a head of %d over %d", ErrHead,
			len(rows.Labels), rows.Hidden, len(h.Labels), h.Hidden)
	}
	seen := 0
	for _, n := range h.Counts {
		seen += int(n)
	}
	c := *h
	c.Labels, c.W, c.B = slices.Concat(h.Labels, rows.Labels), make([]float32, len(h.W)+len(rows.Labels)*h.Hidden),
		slices.Concat(h.B, rows.B)
	copy(c.W, h.W)
	for i := range rows.Labels {
		copy(c.W[(len(h.Labels)+i+1)*h.Hidden-rows.Hidden:], rows.W[i*rows.Hidden:(i+1)*rows.Hidden])
	}
	c.Counts = append(slices.Clone(h.Counts),
		slices.Repeat([]uint32{uint32(seen / len(h.Labels))}, len(rows.Labels))...)
	return &c, c.Validate()
}

// Rows are those of the labels from the given one on, as a head of their own for With.
func (h *Head) Rows(from int) *Head {
	return &Head{Labels: h.Labels[from:], Hidden: h.Hidden, W: h.W[from*h.Hidden:], B: h.B[from:],
		Counts: h.Counts[from:]}
}

// Validate checks shapes, labels and that every weight is finite.
func (h *Head) Validate() error {
	C, d := h.Outputs(), h.Hidden
	if d < 1 || d > maxHidden || len(h.Labels) > MaxLabels {
		return fmt.Errorf("%w: %d labels over %d values", ErrHead, len(h.Labels), d)
	}
	if len(h.W) != C*d || len(h.B) != C || len(h.Counts) != C {
		return fmt.Errorf("%w: W of %d, B of %d, counts of %d for C=%d, d=%d", ErrHead, len(h.W), len(h.B),
			len(h.Counts), C, d)
	}
	if h.W1 != nil && len(h.W1) != d*d || len(h.B1) != len(h.W1)/d {
		return fmt.Errorf("%w: W1 of %d, B1 of %d for d=%d", ErrHead, len(h.W1), len(h.B1), d)
	}
	seen := make(map[string]bool, len(h.Labels))
	for _, l := range h.Labels {
		if l == "" || len(l) > MaxLabelBytes || seen[l] {
			return fmt.Errorf("%w: label %.40q is empty, too long or there twice", ErrHead, l)
		}
		seen[l] = true
	}
	for _, ws := range [][]float32{h.W, h.B, h.W1, h.B1} {
		for _, w := range ws {
			if w-w != 0 { // NaN or infinite
				return fmt.Errorf("%w: a weight is not finite", ErrHead)
			}
		}
	}
	return nil
}

// Logits is the head's output for one embedding, of Hidden values, appended to dst.
func (h *Head) Logits(dst, x []float32) []float32 {
	if h.W1 != nil {
		inner := make([]float32, h.Hidden)
		for i := range inner {
			inner[i] = float32(math.Tanh(float64(Dot(h.W1[i*h.Hidden:(i+1)*h.Hidden], x) + h.B1[i])))
		}
		x = inner
	}
	for c, b := range h.B {
		dst = append(dst, Dot(h.W[c*h.Hidden:(c+1)*h.Hidden], x)+b)
	}
	return dst
}

// Prior is what a profile's label counts add to a shared head's logits, with strength α:
//
//	log((n_c + α·q_c)/(n + α)) − log q_c,  q_c = (m_c + 1)/(m + C)
//
// where n_c counts the profile's labels and m_c those that the head was trained on. α must be
// positive. It is nil, no prior, without counts of the head's labels, and for a regressor.
func (h *Head) Prior(counts []uint32, alpha float64) []float32 {
	if len(counts) != len(h.Labels) || h.Regression() {
		return nil
	}
	n, m := 0.0, 0.0
	for c := range counts {
		n += float64(counts[c])
		m += float64(h.Counts[c])
	}
	if n == 0 {
		return nil
	}
	out := make([]float32, len(counts))
	for c := range counts {
		q := (float64(h.Counts[c]) + 1) / (m + float64(len(counts)))
		out[c] = float32(math.Log((float64(counts[c])+alpha*q)/(n+alpha)) - math.Log(q))
	}
	return out
}

// Softmax turns logits into probabilities, in place.
func Softmax(logits []float32) []float32 {
	if len(logits) == 0 {
		return logits
	}
	top := slices.Max(logits)
	sum := 0.0
	for i, z := range logits {
		e := math.Exp(float64(z - top))
		logits[i], sum = float32(e), sum+e
	}
	for i := range logits {
		logits[i] = float32(float64(logits[i]) / sum)
	}
	return logits
}

// Digest is the SHA-256 of the encoded head: its name in a store.
func (h *Head) Digest() ([32]byte, error) {
	data, err := h.MarshalBinary()
	return sha256.Sum256(data), err
}

// Dot is a·b, of a's length. It has four sums, which the processor can keep in flight at once.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}
