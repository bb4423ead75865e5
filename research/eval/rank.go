package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/research/stats"
	"github.com/xpeft/xpeft/sdk"
)

// Ranks measures whether candidates come in a person's own order: by the SDK's own calls, in a
// folder of its own. A person's answers are likes, the texts with the label Liked, and dislikes,
// all others. Of those that they learn from each like is a choice (Chose) between it and Against
// dislikes, drawn at random. Half of the people are the population, which TrainRank learns from;
// the others are new, and Rank puts the answers that they kept back, three in ten, into an order:
// their own, and the one that all have. Then the other way round.
type Ranks struct {
	Model     string
	Data      *Data
	Liked     string
	Drop      []string // labels that are no answers
	Against   int
	Answers   int // of a person, at most, drawn at random
	Most      int // choices of a person
	Least     int // answers that a person must have
	Splits    int
	MaxTokens int
	Log       io.Writer // nil: silence
}

// RankRow is one new person in one split.
type RankRow struct {
	Person   string  `json:"person"`
	Split    int     `json:"split"`
	Choices  int     `json:"choices"`
	Tested   int     `json:"tested"`   // answers that were kept back
	Own      bool    `json:"own"`      // choices of the person have a part in their order
	Personal float64 `json:"personal"` // AUC of likes over dislikes
	Crowd    float64 `json:"crowd"`    // in the order that all have
}

// Run returns the rows of all people who have a like and a dislike on both sides.
func (e *Ranks) Run(ctx context.Context) ([]RankRow, error) {
	var rows []RankRow
	people := e.people()
	for split := range e.Splits {
		order := rand.New(rand.NewPCG(uint64(split), 0x7a11)).Perm(len(people))
		half := len(order) / 2
		for _, sides := range [][2][]int{{order[:half], order[half:]}, {order[half:], order[:half]}} {
			got, err := e.side(ctx, split, people, sides[0], sides[1])
			if err != nil {
				return nil, err
			}
			rows = append(rows, got...)
			e.log("%s", RankMarkdown(rows)) // so far
		}
	}
	return rows, nil
}

// taste is a person's answers.
type taste struct {
	id    string
	texts []string
	likes []bool
}

func (e *Ranks) people() (out []taste) {
	for _, p := range e.Data.People {
		t, seen := taste{id: p.ID}, map[string]bool{}
		for _, x := range p.Examples {
			if !slices.Contains(e.Drop, x.Label) && !seen[x.Text] {
				seen[x.Text] = true
				t.texts, t.likes = append(t.texts, x.Text), append(t.likes, x.Label == e.Liked)
			}
		}
		if len(t.texts) < e.Least {
			continue
		}
		rng := rand.New(rand.NewPCG(uint64(len(out)), 0xa115))
		rng.Shuffle(len(t.texts), func(i, k int) {
			t.texts[i], t.texts[k], t.likes[i], t.likes[k] = t.texts[k], t.texts[i], t.likes[k], t.likes[i]
		})
		n := min(len(t.texts), e.Answers)
		t.texts, t.likes = t.texts[:n], t.likes[:n]
		out = append(out, t)
	}
	return out
}

// choices are those that a person makes among some of their texts, the chosen one first.
func (e *Ranks) choices(t taste, which []int, rng *rand.Rand) (out [][]string) {
	var likes, dislikes []int
	for _, i := range which {
		if t.likes[i] {
			likes = append(likes, i)
		} else {
			dislikes = append(dislikes, i)
		}
	}
	if len(dislikes) == 0 {
		return nil
	}
	for _, like := range likes[:min(len(likes), e.Most)] {
		candidates := []string{t.texts[like]}
		for _, k := range rng.Perm(len(dislikes))[:min(e.Against, len(dislikes))] {
			candidates = append(candidates, t.texts[dislikes[k]])
		}
		out = append(out, candidates)
	}
	return out
}

// choose tells the folder what people choose, one choice of each at a time: so many are due at
// once, and learn together.
func choose(ctx context.Context, p *sdk.Folder, people []taste, choices map[int][][]string) error {
	for round := 0; ; round++ {
		left := false
		for who, t := range people {
			if round >= len(choices[who]) {
				continue
			}
			left = true
			c := choices[who][round]
			if err := p.Chose(ctx, t.id, "", c, c[0]); err != nil {
				return err
			}
		}
		if !left {
			return nil
		}
	}
}

func (e *Ranks) side(ctx context.Context, split int, people []taste, old, fresh []int) (rows []RankRow, err error) {
	dir, err := os.MkdirTemp("", "xpeft-rank-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := sdk.Create(ctx, filepath.Join(dir, "folder"), sdk.Config{Model: e.Model,
		Labels: []string{"like", "other"}, MaxTokens: e.MaxTokens, Options: &sdk.Options{Precision: "auto"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	rng := rand.New(rand.NewPCG(uint64(split), 0xc0de))
	choices := map[int][][]string{}
	for _, who := range old {
		choices[who] = e.choices(people[who], rng.Perm(len(people[who].texts)), rng)
	}
	if err := choose(ctx, p, people, choices); err != nil {
		return nil, err
	}
	rep, err := p.TrainRank(ctx, nil)
	if err != nil {
		return nil, err
	}
	e.log("split %d: %s: %d choices of %d people, loss %.3f before, %.3f after, %d directions\n", split, rep.Reason,
		rep.Choices, rep.Profiles, rep.Before.Loss, rep.After.Loss, rep.Directions)
	for _, who := range old { // who need not learn rows of their own
		if len(choices[who]) > 0 {
			if err := p.Forget(ctx, people[who].id); err != nil {
				return nil, err
			}
		}
	}
	tests := map[int][]int{}
	clear(choices)
	for _, who := range fresh {
		order := rng.Perm(len(people[who].texts))
		held := len(order) * 3 / 10
		tests[who], choices[who] = order[:held], e.choices(people[who], order[held:], rng)
	}
	if err := choose(ctx, p, people, choices); err != nil {
		return nil, err
	}
	if err := p.Drain(ctx); err != nil {
		return nil, err
	}
	slices.Sort(fresh)
	for _, who := range fresh {
		if len(choices[who]) == 0 {
			continue
		}
		row, ok, err := e.test(ctx, p, people[who], tests[who])
		if err != nil {
			return nil, err
		}
		if row.Split, row.Choices = split, len(choices[who]); ok {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// test ranks the texts that a person kept back; ok is false if all of them are likes, or none is.
func (e *Ranks) test(ctx context.Context, p *sdk.Folder, t taste, which []int) (row RankRow, ok bool, err error) {
	texts, likes := make([]string, len(which)), make([]bool, len(which))
	for k, i := range which {
		texts[k], likes[k] = t.texts[i], t.likes[i]
	}
	row = RankRow{Person: t.id, Tested: len(which)}
	if !slices.Contains(likes, true) || !slices.Contains(likes, false) {
		return row, false, nil
	}
	for _, o := range []*sdk.RankOptions{{}, {Base: true}} {
		r, err := p.Rank(ctx, t.id, "", texts, o)
		if err != nil {
			return row, false, err
		}
		scores := make([]float64, len(texts))
		for _, c := range r.Ranked {
			scores[c.Index] = float64(c.Score)
		}
		if o.Base {
			row.Crowd = auc(scores, likes)
		} else {
			row.Personal, row.Own = auc(scores, likes), r.Source == sdk.SourceProfile
		}
	}
	return row, true, nil
}

// auc is the share of pairs of a like and a dislike that are in the right order; ties are half.
func auc(scores []float64, likes []bool) float64 {
	right, pairs := 0.0, 0.0
	for i, like := range likes {
		for k, other := range likes {
			if !like || other {
				continue
			}
			pairs++
			right += float64(1+cmp.Compare(scores[i], scores[k])) / 2
		}
	}
	return right / pairs
}

func (e *Ranks) log(format string, args ...any) {
	if e.Log != nil {
		fmt.Fprintf(e.Log, format, args...)
	}
}

// rankDraws is how many resamples an interval takes.
const rankDraws = 10_000

// RankMarkdown is the table: a person counts once, with the mean over the splits.
func RankMarkdown(rows []RankRow) string {
	type sum struct{ n, personal, crowd, choices, tested, own float64 }
	byPerson := map[string]*sum{}
	for _, r := range rows {
		s := byPerson[r.Person]
		if s == nil {
			s = &sum{}
			byPerson[r.Person] = s
		}
		s.n++
		s.personal, s.crowd = s.personal+r.Personal, s.crowd+r.Crowd
		s.choices, s.tested = s.choices+float64(r.Choices), s.tested+float64(r.Tested)
		if r.Own {
			s.own++
		}
	}
	var ids []string
	for id := range byPerson {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var personal, crowd, gains, choices, tested, own []float64
	for _, id := range ids {
		s := byPerson[id]
		personal, crowd = append(personal, s.personal/s.n), append(crowd, s.crowd/s.n)
		gains = append(gains, (s.personal-s.crowd)/s.n)
		choices, tested, own = append(choices, s.choices/s.n), append(tested, s.tested/s.n), append(own, s.own/s.n)
	}
	var b strings.Builder
	b.WriteString("| people | choices of one | texts ranked | with a row | AUC, all people's order | " +
		"AUC, own order | own over all people's | p |\n|---|---|---|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %d | %.1f | %.1f | %.2f | %s | %s | %s | %.4f |\n", len(ids), stats.Mean(choices),
		stats.Mean(tested), stats.Mean(own), interval(crowd, "%.3f"), interval(personal, "%.3f"),
		interval(gains, "%+.3f"), stats.PairedPermutation(personal, crowd, rankDraws, 1))
	return b.String()
}

func interval(values []float64, format string) string {
	i := stats.Bootstrap(values, rankDraws, 1)
	return fmt.Sprintf(format+" ("+format+" to "+format+")", i.Mean, i.Low, i.High)
}
