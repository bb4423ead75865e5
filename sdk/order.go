package sdk

import (
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/store"
)

// orderHead is the name of the head that says what people choose, whoever they are: its first
// output over φ, and as its bias what a cosine is worth. Outputs behind it are the directions along
// which people's own orders differ. One output alone has no label.
const orderHead = "order"

// sharedOrder is what nobody's own choices have a part in.
func (p *Folder) sharedOrder() (*order, error) {
	ref, err := p.store.HeadByName(orderHead)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.axes == nil {
		return &order{similarity: similarity}, nil
	}
	if err != nil {
		return nil, err
	}
	h, err := p.head(ref)
	if err != nil {
		return nil, err
	}
	if !h.Regression() && h.Labels[0] != orderHead || !p.seesFeatures(h) {
		return nil, fmt.Errorf("%w: a head of %d labels over %d values orders candidates", ErrCorrupt, len(h.Labels),
			h.Hidden)
	}
	D, o := h.Hidden, &order{similarity: float64(h.B[0]), w: h.W[:h.Hidden]}
	for at := D; at < len(h.W); at += D {
		o.directions = append(o.directions, numeric.Widen(p.axes.Project(nil, h.W[at:at+D])))
	}
	return o, nil
}

// splitCodes takes the row that orders candidates out of a record's codes.
func splitCodes(codes []store.Code) (labels []store.Code, order *store.Code) {
	for i, c := range codes {
		last := len(c.Labels) - 1
		if last < 0 || c.Labels[last] != folder.RankLabel {
			continue
		}
		size := len(c.Rows) / len(c.Labels)
		order = &store.Code{Bank: c.Bank, K: c.K, Labels: c.Labels[last:], Rows: c.Rows[last*size:],
			Scales: c.Scales[last:]}
		labels = slices.Delete(slices.Clone(codes), i, i+1)
		if last > 0 {
			c.Labels, c.Rows, c.Scales = c.Labels[:last:last], c.Rows[:last*size:last*size], c.Scales[:last:last]
			labels = slices.Insert(labels, i, c)
		}
		return labels, order
	}
	return codes, nil
}

// joinCodes is the way back.
func joinCodes(labels []store.Code, order *store.Code) []store.Code {
	if order == nil {
		return labels
	}
	out := slices.Clone(labels)
	for i, c := range out {
		if c.Bank == order.Bank {
			out[i].Labels = slices.Concat(c.Labels, order.Labels)
			out[i].Rows, out[i].Scales = slices.Concat(c.Rows, order.Rows), slices.Concat(c.Scales, order.Scales)
			return out
		}
	}
	return append(out, *order)
}
