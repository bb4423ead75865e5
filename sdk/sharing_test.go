package sdk

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// TestSharedTexts: of people who learn at once a text is passed forward once, however many have it,
// in a TrainHead too; nothing of it is left for the next call, and each person gets what Learn
// alone gives.
func TestSharedTexts(t *testing.T) {
	ctx := context.Background()
	p := differing(t, "")
	q := plantedIn(t, p, 12, 1, 1)
	var some [3]model.Encoding
	for i := range some { // the third is the first once more
		p.tokenizer.Encode(&some[i], q.texts[i%2], "", p.maxTokens)
	}
	twins, err := p.features(ctx, some[:])
	d := p.axes.Dim()
	if err != nil || !slices.Equal(twins[:d], twins[2*d:]) || slices.Equal(twins[:d], twins[d:2*d]) {
		t.Errorf("got %v, want the same φ of the first text and the third", err)
	}
	counted := &countedEngine{Engine: p.engine}
	p.engine = counted
	var requests []LearnRequest
	for u := range 5 {
		requests = append(requests, LearnRequest{fmt.Sprint("many ", u), append(q.person(8), q.person(6)...)})
	}
	different := map[string]bool{}
	for _, r := range requests {
		for _, e := range r.Examples {
			different[e.Text] = true
		}
	}
	for range 2 {
		results, err := p.LearnMany(ctx, requests, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		if got := counted.texts.Swap(0); got != int64(len(different)) {
			t.Errorf("got %d texts passed forward, want each of the %d once", got, len(different))
		}
	}
	for _, r := range requests {
		alone := "alone " + r.Profile
		mustLearn(t, p, alone, r.Examples, nil)
		mustLearn(t, p, alone, r.Examples, nil)
		if a, b := mustPredict(t, p, r.Profile, q.texts[0]), mustPredict(t, p, alone, q.texts[0]); distance(a, b) != 0 {
			t.Errorf("%s: got %v, alone %v", r.Profile, a, b)
		}
	}
}
