package eval

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// plainModes train nothing for a person.
func plainModes() []Mode {
	var alphas, ks []Setting
	for _, a := range []float64{0.1, 0.3, 1, 3} {
		alphas = append(alphas, Setting{Name: fmt.Sprintf("α=%g", a), Alpha: a})
	}
	for _, k := range []int{1, 3, 5, 10} {
		ks = append(ks, Setting{Name: fmt.Sprintf("k=%d", k), K: k})
	}
	return []Mode{
		{"majority", "the person's most frequent label", []Setting{{Name: "nothing to set"}}, majority, nil},
		{"prior", "the shared head and the person's label prior", alphas, prior, nil},
		{"knn", "votes of the person's nearest texts, by the cosine of frozen embeddings", ks, knn, nil},
	}
}

func majority(_ context.Context, _ *World, p *Part, _ Setting) (served, error) {
	s := served{predicted: make([]int, len(p.Test)), bytes: 1}
	for i := range s.predicted {
		s.predicted[i] = mostFrequent(p.Counts)
	}
	return s, nil
}

func mostFrequent(counts []uint32) int {
	best := 0
	for c := range counts {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return best
}

func prior(ctx context.Context, w *World, p *Part, s Setting) (served, error) {
	_, x, err := p.embed(ctx, w)
	if err != nil {
		return served{}, err
	}
	return served{predicted: predict(w.Head, w.Head.Prior(p.Counts, s.Alpha), x),
		bytes: frameBytes + countBytes(p.Counts)}, nil
}

func knn(ctx context.Context, w *World, p *Part, s Setting) (served, error) {
	train, test, err := p.embed(ctx, w)
	if err != nil {
		return served{}, err
	}
	d := w.Encoder.Hidden()
	out := served{bytes: len(p.Train) * (4*d + 1)}
	for i := range p.Test {
		type neighbour struct {
			class int
			near  float64
		}
		var all []neighbour
		for j, e := range p.Train {
			all = append(all, neighbour{e.Class, cosine(test[i*d:(i+1)*d], train[j*d:(j+1)*d])})
		}
		slices.SortStableFunc(all, func(a, b neighbour) int { return cmp.Compare(b.near, a.near) })
		votes := make([]float64, len(w.Labels))
		best := all[0].class
		for _, n := range all[:min(s.K, len(all))] {
			if votes[n.class] += n.near; votes[n.class] > votes[best] {
				best = n.class
			}
		}
		out.predicted = append(out.predicted, best)
	}
	return out, nil
}

func cosine[T float32 | uint32](a, b []T) float64 {
	ab, aa, bb := 0.0, 0.0, 0.0
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Max(math.Sqrt(aa*bb), 1e-30)
}
