package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/sdk"
)

func TestAUC(t *testing.T) {
	likes := []bool{true, false, true, false}
	for _, test := range []struct {
		scores []float64
		want   float64
	}{{[]float64{4, 1, 3, 2}, 1}, {[]float64{1, 4, 2, 3}, 0}, {[]float64{1, 1, 1, 1}, 0.5},
		{[]float64{4, 3, 2, 1}, 0.75}} {
		if got := auc(test.scores, likes); got != test.want {
			t.Errorf("%v: got %g, want %g", test.scores, got, test.want)
		}
	}
}

// TestRankSimilarity prints what a cosine should count in Rank, on the replies of MultiPICo, whose
// file is XPEFT_MULTIPICO: of the replies to ten texts, the one to the text is chosen.
func TestRankSimilarity(t *testing.T) {
	path := os.Getenv("XPEFT_MULTIPICO")
	if path == "" || os.Getenv("XPEFT_MODEL") == "" {
		t.Skip("no XPEFT_MULTIPICO and XPEFT_MODEL")
	}
	data, err := ReadData(path, Fields{ID: "author", Text: "text", Pair: "pair", Label: "category"}, SplitPeople)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	p, err := sdk.Create(ctx, filepath.Join(t.TempDir(), "folder"), sdk.Config{Model: os.Getenv("XPEFT_MODEL"),
		Labels: []string{"a", "b"}, MaxTokens: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var firsts, seconds []string
	seen := map[string]bool{}
	for _, person := range data.People {
		for _, e := range person.Examples {
			if !seen[e.Text] && !seen[e.Pair] && len(firsts) < 150 {
				seen[e.Text], seen[e.Pair] = true, true
				firsts, seconds = append(firsts, e.Pair), append(seconds, e.Text)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	loss := map[float64]float64{}
	weights := []float64{2, 4, 6, 8, 10, 12, 15, 20, 30}
	right := 0
	for i, text := range firsts {
		candidates := []string{seconds[i]}
		for _, k := range rng.Perm(len(seconds)) {
			if k != i && len(candidates) < 10 {
				candidates = append(candidates, seconds[k])
			}
		}
		r, err := p.Rank(ctx, "", text, candidates, &sdk.RankOptions{Base: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Ranked[0].Index == 0 {
			right++
		}
		for _, w := range weights {
			sum, own := 0.0, 0.0
			for _, c := range r.Ranked {
				s := float64(c.Score) / 15 * w // of the cosine
				if sum += math.Exp(s); c.Index == 0 {
					own = s
				}
			}
			loss[w] += (math.Log(sum) - own) / float64(len(firsts))
		}
	}
	line := fmt.Sprintf("%d texts, %d right; loss", len(firsts), right)
	for _, w := range weights {
		line += fmt.Sprintf(" %g: %.4f", w, loss[w])
	}
	t.Log(line)
}
