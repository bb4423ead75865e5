package folder

import (
	"math"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// DecodeHead decodes a head; nil if there is none.
func DecodeHead(data []byte) (*model.Head, error) {
	if data == nil {
		return nil, nil
	}
	h := new(model.Head)
	if err := h.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	return h, nil
}

// Measured is a score of a record; nil: it was not measured, or a bundle has brought what JSON has
// no number for.
func Measured(v float32) *float32 {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return nil
	}
	return &v
}

// HeadOf is the head of a record: the one that shared reads, with the rows that are the profile's
// own, or its own. kind is an sdk.HeadKind, or none, where there is no head.
func HeadOf(rec *store.Profile, shared func(ref uint32) (*model.Head, error)) (h *model.Head, kind string, err error) {
	own, err := DecodeHead(rec.OwnHead)
	if h = own; err == nil && rec.Head != 0 {
		if h, err = shared(rec.Head); err == nil && own != nil {
			h, err = h.With(own)
		}
	}
	switch {
	case err != nil:
		return nil, "", err
	case h == nil:
		return nil, "none", nil
	case h.Regression():
		return h, "number", nil
	case rec.Head == 0:
		return h, "own", nil
	}
	return h, "shared", nil
}
