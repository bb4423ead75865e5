package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/xpeft/xpeft/internal/npz"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// HeadFormat is a form in which a shared head leaves a folder.
type HeadFormat string

const (
	// HeadJSON is an object of coef, a list of a row a label, intercept, classes and counts.
	HeadJSON HeadFormat = "json"
	HeadNPZ  HeadFormat = "npz" // NumPy's archive of arrays of these names
	// HeadSafetensors is the file of ExportSafetensors for nobody: it is the one that says what the
	// head sees of a text. It cannot be imported.
	HeadSafetensors HeadFormat = "safetensors"
)

// linear is a linear classifier as scikit-learn has it.
type linear struct {
	Coef      [][]float64 `json:"coef"`
	Intercept []float64   `json:"intercept"`
	Classes   []string    `json:"classes"`
	Counts    []float64   `json:"counts,omitempty"` // of training examples, by class
}

// readLinear reads either format, unpacked in at most some bytes. Of two classes there may be one
// row, that of the second.
func readLinear(data []byte, most int64) (l *linear, err error) {
	switch {
	case bytes.HasPrefix(data, []byte("PK")):
		l, err = linearOfNPZ(data, most)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		l = new(linear)
		if err = d.Decode(l); err == nil {
			if _, end := d.Token(); end != io.EOF {
				err = fmt.Errorf("bytes behind the object")
			}
		}
	default:
		err = fmt.Errorf("neither a JSON object nor an .npz file")
		if what := safetensors.Foreign(data); what != "" {
			err = fmt.Errorf("neither a JSON object nor an .npz file: %s", what)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHead, err)
	}
	if len(l.Classes) == 2 && len(l.Coef) == 1 && len(l.Intercept) == 1 {
		l.Coef = [][]float64{make([]float64, len(l.Coef[0])), l.Coef[0]}
		l.Intercept = []float64{0, l.Intercept[0]}
	}
	return l, nil
}

func linearOfNPZ(data []byte, most int64) (*linear, error) {
	arrays, err := npz.Read(data, most)
	if err != nil {
		return nil, err
	}
	for name, a := range arrays {
		dims := map[string]int{"coef": 2, "intercept": 1, "classes": 1, "counts": 1}[name]
		if dims == 0 {
			return nil, fmt.Errorf("an array %.60q, want coef, intercept, classes and perhaps counts", name)
		}
		if len(a.Shape) != dims || (a.Strings != nil) != (name == "classes") {
			return nil, fmt.Errorf("%s has the shape %v, strings: %t, want %d dimensions, of strings for classes alone",
				name, a.Shape, a.Strings != nil, dims)
		}
	}
	coef := arrays["coef"]
	l := &linear{Intercept: arrays["intercept"].Numbers, Classes: arrays["classes"].Strings,
		Counts: arrays["counts"].Numbers}
	if len(coef.Shape) == 2 && coef.Shape[1] > 0 {
		for at := 0; at < len(coef.Numbers); at += coef.Shape[1] {
			l.Coef = append(l.Coef, coef.Numbers[at:at+coef.Shape[1]])
		}
	}
	return l, nil
}

// head is the classifier as a head of these labels, in their order.
func (l *linear) head(labels []string) (*model.Head, error) {
	C := len(l.Classes)
	if C == 0 || len(l.Coef) != C || len(l.Intercept) != C || l.Counts != nil && len(l.Counts) != C {
		return nil, fmt.Errorf("%w: %d rows of coef, %d of intercept and %d counts for %d classes", ErrHead,
			len(l.Coef), len(l.Intercept), len(l.Counts), C)
	}
	h := &model.Head{Labels: labels, Hidden: len(l.Coef[0]), Counts: make([]uint32, len(labels))}
	classes := &model.Head{Labels: l.Classes}
	for i, class := range l.Classes {
		if at, ok := h.Label(class); !ok {
			return nil, fmt.Errorf("%w: the head's class %.60q is none of the folder's", ErrUnknownLabel, class)
		} else if first, _ := classes.Label(labels[at]); first != i {
			return nil, fmt.Errorf("%w: the class %.60q is there twice", ErrHead, class)
		}
	}
	for c, label := range labels {
		i, ok := classes.Label(label)
		if !ok {
			return nil, fmt.Errorf("%w: it has no class %.60q, which the folder has", ErrHead, label)
		}
		if len(l.Coef[i]) != h.Hidden {
			return nil, fmt.Errorf("%w: rows of %d and %d values", ErrHead, h.Hidden, len(l.Coef[i]))
		}
		for _, v := range l.Coef[i] {
			h.W = append(h.W, float32(v))
		}
		h.B = append(h.B, float32(l.Intercept[i]))
		if l.Counts != nil {
			n := l.Counts[i]
			if !(n >= 0 && n <= math.MaxUint32) || n != math.Trunc(n) {
				return nil, fmt.Errorf("%w: counts: %g of the class %.60q, want a whole number", ErrHead, n, label)
			}
			h.Counts[c] = uint32(n)
		}
	}
	return h, h.Validate()
}

// linearOf is a head as scikit-learn would have it.
func linearOf(h *model.Head) *linear {
	l := &linear{Classes: h.Labels}
	for c, b := range h.B {
		l.Coef = append(l.Coef, numeric.Widen(h.W[c*h.Hidden:(c+1)*h.Hidden]))
		l.Intercept, l.Counts = append(l.Intercept, float64(b)), append(l.Counts, float64(h.Counts[c]))
	}
	return l
}

// write writes a classifier.
func (l *linear) write(w io.Writer, format HeadFormat) error {
	if format == HeadJSON {
		return json.NewEncoder(w).Encode(l)
	}
	C := len(l.Classes)
	coef := npz.Array{Shape: []int{C, len(l.Coef[0])}}
	for _, row := range l.Coef {
		coef.Numbers = append(coef.Numbers, row...)
	}
	return npz.Write(w, map[string]npz.Array{"coef": coef,
		"intercept": {Shape: []int{C}, Numbers: l.Intercept}, "classes": {Shape: []int{C}, Strings: l.Classes},
		"counts": {Shape: []int{C}, Numbers: l.Counts}})
}
