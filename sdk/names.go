package sdk

import (
	"context"
	"crypto/sha256"
	"math"
	"math/rand/v2"

	"github.com/xpeft/xpeft/model"
)

const (
	// nameScale is s in the head that is made of labels' names: how much a cosine counts in a
	// logit.
	nameScale = 1
	// featureScale is the same over φ, whose last block's part is shorter and about centred.
	featureScale = 8
	// alikeCosine is from where on two names say the same to the model: those that are one but for
	// case, or of characters that it does not know.
	alikeCosine = 0.999
	// ownPart is the length of what tells such labels apart, beside their names' of 1.
	ownPart = 2
	// drawnWords is how many words that is made of.
	drawnWords = 8
)

// headFromNames makes a head before there is any data: row c is s times the normalised embedding of
// label c's name. Labels whose names are alike to the model, which it returns, would be one label
// for ever, as a shared head is frozen: each gets a part of its own, which its bytes decide.
func (p *Folder) headFromNames(ctx context.Context, labels []string) (*model.Head, [][]string, error) {
	h := &model.Head{Labels: append([]string(nil), labels...), Hidden: p.encoder.Hidden(),
		B: make([]float32, len(labels)), Counts: make([]uint32, len(labels))}
	rows, err := p.pooled(ctx, p.named(labels))
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
		if err := p.tellApart(ctx, at, labels, group); err != nil {
			return nil, nil, err
		}
		for _, c := range group {
			said[i] = append(said[i], labels[c])
		}
	}
	h.W = rows
	if p.axes != nil {
		h = widened(h, p.width(), featureScale)
	}
	return h, said, h.Validate()
}

// widened is a head over φ of which the last block's part sees the rows of h, times a scale, and
// nothing else does. That is where names belong: a name is one word, and the lower blocks tell a
// word from a sentence rather than its meaning.
func widened(h *model.Head, width int, scale float64) *model.Head {
	w := *h
	w.Hidden, w.W = width, make([]float32, len(h.Labels)*width)
	for c := range h.Labels {
		for i, x := range h.W[c*h.Hidden : (c+1)*h.Hidden] {
			w.W[(c+1)*width-h.Hidden+i] = float32(scale) * x
		}
	}
	return &w
}

// narrowed is the last block's part of a head over φ: what a profile stores of rows that come from
// names, which see no more.
func (p *Folder) narrowed(h *model.Head) *model.Head {
	w, d := *h, p.encoder.Hidden()
	w.Hidden, w.W = d, make([]float32, 0, len(h.Labels)*d)
	for c := range h.Labels {
		w.W = append(w.W, h.W[(c+1)*h.Hidden-d:(c+1)*h.Hidden]...)
	}
	return &w
}

// named are labels as texts.
func (p *Folder) named(labels []string) []model.Encoding {
	names := make([]model.Encoding, len(labels))
	for i, l := range labels {
		p.tokenizer.Encode(&names[i], l, "", p.maxTokens)
	}
	return names
}

// alikeRows groups rows of one length whose cosine with the first of their group is above
// alikeCosine.
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

// tellApart adds to the names' rows of a group the embedding of words that each label's bytes draw
// from the vocabulary: directions in which texts really differ, so that an adapter can learn to go
// there. With directions at random, three Chinese labels of an English model were learned to 0.85
// where English ones are learned to 1.00; with these to 1.00.
func (p *Folder) tellApart(ctx context.Context, at func(int) []float32, labels []string, group []int) error {
	words := make([]model.Encoding, len(group))
	for i, c := range group {
		words[i] = p.drawWords(labels[c])
	}
	rows, err := p.pooled(ctx, words)
	if err != nil {
		return err
	}
	for i, c := range group {
		own, row := p.row(rows, i), at(c)
		scaleTo(own, ownPart*nameScale)
		for j := range row {
			row[j] += own[j]
		}
		scaleTo(row, nameScale)
	}
	return nil
}

// drawWords is a text of tokens that a label's bytes draw.
func (p *Folder) drawWords(label string) (e model.Encoding) {
	r := rand.New(rand.NewChaCha8(sha256.Sum256([]byte("xpeft label 1\x00" + label))))
	p.tokenizer.Encode(&e, "", "", p.maxTokens)
	first, last := e.IDs[0], e.IDs[len(e.IDs)-1]
	e.IDs = []int32{first}
	for range min(drawnWords, p.maxTokens-2) {
		e.IDs = append(e.IDs, int32(r.IntN(p.encoder.Config().VocabSize)))
	}
	e.IDs = append(e.IDs, last)
	e.TypeIDs = make([]int32, len(e.IDs))
	return e
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
