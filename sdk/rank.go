package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/model"
)

// RankOptions of one Rank. Nil, and every zero field, means the default.
type RankOptions struct {
	Base     bool     // the order is nobody's, whatever the profile is
	Fallback Fallback // what orders them if the profile does not exist
}

// Ranked is a candidate of a Ranking.
type Ranked struct {
	Candidate string  `json:"candidate"`
	Index     int     `json:"index"` // among the candidates as they were given
	Score     float32 `json:"score"` // comes to mean something by comparison alone
	P         float32 `json:"p"`     // that it is the one chosen; they add up to 1
}

// Ranking is the answer to a Rank.
type Ranking struct {
	Profile string   `json:"profile"`
	Ranked  []Ranked `json:"ranked"` // the likeliest first; of equals the one that was given first
	// Source is SourceProfile if choices of the profile have a part in the order; SourceBase if
	// none were learned from, or the profile does not exist.
	Source    Source `json:"source"`
	Revision  uint64 `json:"revision"`            // the profile's; 0 if it does not exist
	Truncated bool   `json:"truncated,omitempty"` // a text is longer than MaxTokens: its end was not read
}

// Rank orders candidates, replies or intents that the program has at the moment, by how likely the
// profile's person chooses them for a text; an empty text says nothing of what they are for. A
// candidate scores by how near its meaning is to the text's (the cosine of their embeddings), by
// what TrainRank found that people choose, and by the profile's row of digits, which was learned
// from what the person chose before (Chose). Labels that the profile has learned play no part.
// Errors are those of Predict for the profile and the texts, of candidates ErrCandidates if there
// are none or one is there twice, ErrLimit beyond Options.Limits.Candidates. Cost: a forward pass
// of the text and of each candidate, which share passes with other calls.
func (p *Folder) Rank(ctx context.Context, id, text string, candidates []string, o *RankOptions) (*Ranking, error) {
	leave, err := p.enter(ctx, ofProfile(id, p.exclusive("Rank")))
	if err != nil {
		return nil, err
	}
	defer leave()
	o = cmp.Or(o, &RankOptions{})
	ctx, end := p.options.span(ctx, "rank")
	out, err := p.rank(ctx, id, text, candidates, *o)
	end(err)
	return out, ofProfile(id, err)
}

func (p *Folder) rank(ctx context.Context, id, text string, candidates []string, o RankOptions) (*Ranking, error) {
	if err := p.checkOffer(text, candidates, 1); err != nil {
		return nil, err
	}
	out := &Ranking{Profile: id, Source: SourceBase}
	order, err := p.orderOf(id, o, out)
	if err != nil {
		return nil, err
	}
	encoded := p.encodeTexts(append(slices.Clone(candidates), text)) // the last one may be empty
	if text == "" {
		encoded = encoded[:len(candidates)]
	}
	for i := range encoded {
		out.Truncated = out.Truncated || encoded[i].Truncated
	}
	seen, err := p.see(ctx, encoded, p.axes != nil)
	if err != nil {
		return nil, err
	}
	scores, base := make([]float64, len(candidates)), sight{}
	if text != "" {
		base = seen[len(candidates)]
	}
	for i := range candidates {
		scores[i] = order.score(base, seen[i])
		if math.IsNaN(scores[i]) || math.IsInf(scores[i], 0) {
			return nil, errNotFinite
		}
	}
	out.Ranked = ranked(candidates, scores)
	return out, nil
}

// ranked puts candidates into the order of their scores.
func ranked(candidates []string, scores []float64) []Ranked {
	out, ps := make([]Ranked, len(candidates)), slices.Clone(scores)
	numeric.Softmax(ps)
	for i, c := range candidates {
		out[i] = Ranked{Candidate: c, Index: i, Score: float32(scores[i]), P: float32(ps[i])}
	}
	slices.SortStableFunc(out, func(a, b Ranked) int { return cmp.Compare(scores[b.Index], scores[a.Index]) })
	return out
}

// checkOffer says whether candidates can be ordered for a text, if there are as many as that takes.
func (p *Folder) checkOffer(text string, candidates []string, least int) error {
	if text != "" {
		if err := p.checkText(text); err != nil {
			return err
		}
	}
	if len(candidates) < least {
		return fmt.Errorf("%w: %d of them, want at least %d", ErrCandidates, len(candidates), least)
	}
	if err := over("candidates", len(candidates), "Candidates", p.options.Limits.Candidates); err != nil {
		return err
	}
	seen := make(map[uint64]int, len(candidates))
	for i, c := range candidates {
		if err := p.checkText(c); err != nil {
			return fmt.Errorf("candidate %d: %w", i, err)
		}
		if !utf8.ValidString(c) {
			return fmt.Errorf("%w: candidate %d is not UTF-8", ErrCandidates, i)
		}
		key := p.options.texts.Key(c, "")
		if twin, twice := seen[key]; twice {
			return fmt.Errorf("%w: candidates %d and %d are the same text", ErrCandidates, twin, i)
		}
		seen[key] = i
	}
	return nil
}

// order is what candidates are ordered by.
type order struct {
	similarity float64   // what a cosine of 1 is worth
	w          []float32 // of φ; nil: nothing
	// numbers on the axes: the directions along which people's own orders differ; none: any
	directions [][]float64
}

// similarity is what a cosine counts until TrainRank has learned better: chosen on texts and their
// replies (docs/accuracy.md).
const similarity = 15

// score of a candidate for a text, whose sight is empty if there is none.
func (o *order) score(text, candidate sight) float64 {
	s := 0.0
	if text.x != nil {
		s = o.similarity * cosine(text.x, candidate.x)
	}
	if o.w != nil && candidate.phi != nil {
		s += float64(model.Dot(o.w, candidate.phi))
	}
	return s
}

func cosine(a, b []float32) float64 {
	norms := float64(model.Dot(a, a)) * float64(model.Dot(b, b))
	if norms == 0 {
		return 0
	}
	return float64(model.Dot(a, b)) / math.Sqrt(norms)
}

// orderOf is a profile's, and says in out whose it is.
func (p *Folder) orderOf(id string, o RankOptions, out *Ranking) (*order, error) {
	if o.Fallback != FallbackError && o.Fallback != FallbackBase {
		return nil, fmt.Errorf("%w: fallback %q: want %q, or none for an error", ErrConfig, o.Fallback, FallbackBase)
	}
	base, err := p.sharedOrder()
	if err != nil || o.Base {
		return base, err
	}
	if err := p.options.Limits.checkID(id); err != nil {
		return nil, err
	}
	s, err := p.snapshot(id)
	if errors.Is(err, ErrProfileNotFound) && o.Fallback == FallbackBase {
		return base, nil
	}
	if err != nil {
		return nil, err
	}
	if out.Revision = s.revision; s.order == nil {
		return base, nil
	}
	out.Source = SourceProfile
	own := &order{similarity: base.similarity, w: make([]float32, p.axes.Dim())}
	copy(own.w, base.w)
	p.axes.AddRow(own.w, s.order.Rows, float32(digits.Scale(s.order.Scales[0])))
	return own, nil
}
