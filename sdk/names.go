//go:build cgo

package sdk

import (
	"context"
	"crypto/sha256"
	"math"
	"math/rand/v2"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

const (
	// nameScale is s in the head that is made of labels' names: how much a cosine counts in a logit.
	nameScale = 1
	// alikeCosine is from where on two names say the same to the model: those that are one but for case, or of characters that it does not know.
	alikeCosine = 0.999
	// ownPart is the length of what tells such labels apart, beside their names' of 1.
	ownPart = 2
)

// headFromNames makes a head before there is any data: row c is s times the normalised embedding of label c's name. Labels whose names are alike to the model, which it returns, would be one
// label for ever, as a shared head is frozen: each gets a part of its own, which its bytes decide.
func (p *SDK) headFromNames(ctx context.Context, labels []string) (*model.Head, [][]string, error) {
	h := &model.Head{Labels: append([]string(nil), labels...), Hidden: p.encoder.Hidden(),
		B: make([]float32, len(labels)), Counts: make([]uint32, len(labels))}
	names := make([]learner.Example, len(labels))
	for i, l := range labels {
		p.tokenizer.Encode(&names[i].Text, l, "", p.maxTokens)
	}
	rows, err := learner.Embed(ctx, p.env(nil), names, nil)
	if err != nil {
		return nil, nil, err
	}
	at := func(c int) []float32 { return rows[c*h.Hidden : (c+1)*h.Hidden] }
	for c := range labels {
		scaleTo(at(c), nameScale)
	}
	groups := alikeRows(len(labels), at)
	said := make([][]string, len(groups))
	for i, group := range groups {
		for _, c := range group {
			tellApart(at(c), labels[c])
			said[i] = append(said[i], labels[c])
		}
	}
	h.W = rows
	return h, said, h.Validate()
}

// alikeRows groups rows of one length whose cosine with the first of their group is above alikeCosine.
func alikeRows(n int, at func(int) []float32) (groups [][]int) {
	taken := make([]bool, n)
	for c := range n {
		if taken[c] {
			continue
		}
		group := []int{c}
		for o := c + 1; o < n; o++ {
			if !taken[o] && dot(at(c), at(o)) > alikeCosine*nameScale*nameScale {
				group, taken[o] = append(group, o), true
			}
		}
		if len(group) > 1 {
			groups = append(groups, group)
		}
	}
	return groups
}

// tellApart adds to a name's row a random direction that the label's bytes decide.
func tellApart(row []float32, label string) {
	r := rand.New(rand.NewChaCha8(sha256.Sum256([]byte("xpeft label 1\x00" + label))))
	own := make([]float32, len(row))
	for i := range own {
		own[i] = float32(r.NormFloat64())
	}
	scaleTo(own, ownPart*nameScale)
	for i := range row {
		row[i] += own[i]
	}
	scaleTo(row, nameScale)
}

// scaleTo gives a row a length.
func scaleTo(row []float32, length float64) {
	norm := math.Sqrt(dot(row, row))
	for i := range row {
		row[i] = float32(length * float64(row[i]) / math.Max(norm, 1e-12))
	}
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
