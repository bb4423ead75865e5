package sdk

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

// newsFile is real news with the labels that each author's editors gave; tests that read it skip
// where it is not.
const newsFile = "../../shared/data/news/news.jsonl.gz"

// news are the authors' examples with enough texts and labels to be taught twice, in a fixed order.
func news(t *testing.T, atLeast int) (authors [][]Example, labels []string) {
	t.Helper()
	f, err := os.Open(newsFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no " + newsFile)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	by, order := map[int][]Example{}, []int{}
	for sc := bufio.NewScanner(z); sc.Scan(); {
		var l struct {
			Author         int
			Text, Category string
		}
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if by[l.Author] == nil {
			order = append(order, l.Author)
		}
		by[l.Author] = append(by[l.Author], Example{Text: l.Text, Label: l.Category})
		if !slices.Contains(labels, l.Category) {
			labels = append(labels, l.Category)
		}
	}
	for _, a := range order {
		if own := labelsOf(by[a]); len(own) >= 2 && len(by[a]) >= atLeast {
			authors = append(authors, by[a])
		}
	}
	return authors, labels
}

func labelsOf(es []Example) (own []string) {
	for _, e := range es {
		if !slices.Contains(own, e.Label) {
			own = append(own, e.Label)
		}
	}
	return own
}

// long says whether the tests over the news take all that they are meant for: XPEFT_LONG=1.
func long() bool { return os.Getenv("XPEFT_LONG") != "" }

func newsStore(t *testing.T, labels []string) *Folder {
	t.Helper()
	return create(t, Config{Model: golden.Model(t), Labels: labels, Masks: true, MaxTokens: 64,
		Bank: RandomBank{N: 150, Seed: 42, Blocks: 1}, Options: &Options{}})
}

// served is the accuracy of what a profile is served.
func served(t *testing.T, p *Folder, id string, test []Example) float64 {
	t.Helper()
	reqs := make([]Request, len(test))
	for i, e := range test {
		reqs[i] = Request{Profile: id, Text: e.Text}
	}
	out, err := p.PredictBatch(context.Background(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	right := 0.0
	for i, o := range out {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		if o.Label == test[i].Label {
			right++
		}
	}
	return right / float64(len(test))
}

// TestGateFlippedLabels: a profile is taught, then taught again with half of the new labels wrong,
// also among those that are held out. What it is served must not get worse on clean texts that it
// has never seen, by more than half a point in the mean.
func TestGateFlippedLabels(t *testing.T) {
	t.Parallel()
	authors, labels := news(t, 30)
	seeds := 1
	if !long() {
		authors = authors[:3]
	} else {
		seeds = 3
	}
	p := newsStore(t, labels)
	var fell []float64
	kept := 0
	for seed := range seeds {
		for i, es := range authors {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
			es = slices.Clone(es[:min(len(es), 60)])
			rng.Shuffle(len(es), func(a, b int) { es[a], es[b] = es[b], es[a] })
			third := len(es) / 3
			test, first, second := es[:third], es[third:2*third], es[2*third:]
			own := labelsOf(es)
			for j := range second {
				for rng.IntN(2) == 0 { // half of them
					if l := own[rng.IntN(len(own))]; l != second[j].Label {
						second[j].Label = l
						break
					}
				}
			}
			id := fmt.Sprint("author", i, "-", seed)
			mustLearn(t, p, id, first, nil)
			before := served(t, p, id, test)
			rep := mustLearn(t, p, id, second, nil)
			after := served(t, p, id, test)
			if !rep.Installed {
				kept++
				if after != before {
					t.Errorf("%s: kept, but served otherwise", id)
				}
			}
			fell = append(fell, 100*(before-after))
		}
	}
	t.Logf("%d profiles: served accuracy on clean texts fell by %.2f points in the mean (± %.2f); %d kept the old revision",
		len(fell), mean(fell), 1.96*standardError(fell), kept)
	if long() && mean(fell) > 0.5 {
		t.Error("want at most 0.5 points")
	}
}

// TestLearnDoesNotForget is a label-shift stream: first only some of an author's labels, then only
// the others. What was learned first must stay.
func TestLearnDoesNotForget(t *testing.T) {
	t.Parallel()
	authors, labels := news(t, 40)
	if !long() {
		authors = authors[:2]
	}
	p := newsStore(t, labels)
	first, second, prior := 0.0, 0.0, 0.0
	for i, es := range authors {
		es = es[:min(len(es), 80)]
		own := labelsOf(es)
		var train, test [2][]Example
		for j, e := range es {
			half := min(slices.Index(own, e.Label), 1) // the first label against the others
			if j%3 == 0 {
				test[half] = append(test[half], e)
			} else {
				train[half] = append(train[half], e)
			}
		}
		if len(train[0]) < 5 || len(train[1]) < 5 || len(test[0]) < 3 {
			continue
		}
		id := fmt.Sprint("author", i)
		mustLearn(t, p, id, train[0], nil)
		first += served(t, p, id, test[0])
		mustLearn(t, p, id, train[1], &LearnOptions{Force: true}) // the gate alone would not be a test of replay
		second += served(t, p, id, test[0])
		prior++
	}
	if prior == 0 {
		t.Fatal("no author has two kinds of texts")
	}
	t.Logf("%g profiles: %.3f right on the first labels' texts, %.3f after the others were learned", prior,
		first/prior, second/prior)
	if second < 0.6*first {
		t.Error("learning the second labels forgot the first")
	}
}
