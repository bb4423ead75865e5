//go:build cgo

package sdk

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// nameScale is s in the head that is made of labels' names: how much a cosine counts in a logit.
const nameScale = 1

// headFromNames makes a head before there is any data: row c is s times the normalised embedding of label c's name.
func (p *SDK) headFromNames(ctx context.Context, labels []string) (*model.Head, error) {
	h := &model.Head{Labels: append([]string(nil), labels...), Hidden: p.encoder.Hidden(),
		B: make([]float32, len(labels)), Counts: make([]uint32, len(labels))}
	names := make([]learner.Example, len(labels))
	for i, l := range labels {
		p.tokenizer.Encode(&names[i].Text, l, "", p.maxTokens)
	}
	rows, err := learner.Embed(ctx, p.env(nil), names, nil)
	if err != nil {
		return nil, err
	}
	d := h.Hidden
	for c := range labels {
		row := rows[c*d : (c+1)*d]
		norm := 0.0
		for _, x := range row {
			norm += float64(x) * float64(x)
		}
		for i := range row {
			row[i] = float32(nameScale * float64(row[i]) / math.Max(math.Sqrt(norm), 1e-12))
		}
	}
	h.W = rows
	return h, h.Validate()
}
