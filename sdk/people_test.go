package sdk

import (
	"bufio"
	"cmp"
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
	"github.com/xpeft/xpeft/store"
)

// peopleFiles are real people who answered the same questions, and what a place among them must
// gain over the label prior; the test skips where they are not.
var peopleFiles = map[string]float64{"../../shared/data/people/polis-san-juan.jsonl.gz": 0.03,
	"../../shared/data/people/senate109.jsonl.gz": 0.06}

// opinionated reads the people who gave one of the two most frequent labels to so many texts.
func opinionated(t *testing.T, path string, atLeast int) (people [][]Example, labels []string) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no " + path)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	by, counts, order := map[string][]Example{}, map[string]int{}, []string(nil)
	for sc := bufio.NewScanner(z); sc.Scan(); {
		var l struct{ Author, Text, Pair, Category string }
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if by[l.Author] == nil {
			order = append(order, l.Author)
		}
		counts[l.Category]++
		by[l.Author] = append(by[l.Author], Example{Text: l.Text, Pair: l.Pair, Label: l.Category})
	}
	for l := range counts {
		labels = append(labels, l)
	}
	slices.SortFunc(labels, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	labels = labels[:2]
	for _, a := range order {
		es := slices.DeleteFunc(by[a], func(e Example) bool { return !slices.Contains(labels, e.Label) })
		if len(es) >= atLeast {
			people = append(people, es)
		}
	}
	return people, labels
}

// TestPeople: half of some real people make the bank, and places on it answer the other half better
// than their label prior does.
func TestPeople(t *testing.T) {
	if testing.Short() {
		t.Skip("long form only")
	}
	t.Parallel()
	for path, want := range peopleFiles {
		t.Run(path[len("../../shared/data/people/"):], func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			people, labels := opinionated(t, path, 40)
			rng := rand.New(rand.NewPCG(1, 2))
			rng.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
			p := create(t, Config{Model: golden.Model(t), Labels: labels,
				Options: &Options{Device: device(), ObserveEvery: 1 << 20}})
			half := len(people) / 2
			people = people[:min(len(people), half+30)]
			for u, es := range people[:half] {
				rng.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
				id := fmt.Sprint("old ", u)
				if err := p.Observe(ctx, id, es[0]); err != nil {
					t.Fatal(err)
				}
				if err := p.store.Beside(ctx, id, store.Write{Append: records(es[1:min(len(es), 200)])}); err != nil {
					t.Fatal(err)
				}
			}
			rep := mustTrainBank(t, p)
			t.Logf("%d people, took %.1f s", half, rep.Seconds)
			for _, n := range []int{3, 28} {
				coded, prior := 0.0, 0.0
				for u, es := range people[half:] {
					rng.Shuffle(len(es), func(i, j int) { es[i], es[j] = es[j], es[i] })
					es = es[:40]
					cut := len(es) * 7 / 10
					id := fmt.Sprint("new ", n, " ", u)
					mustLearn(t, p, id, es[:min(cut, n)], nil)
					coded += rightShare(t, p, id, es[cut:])
					rec, err := p.store.Get(id)
					if err != nil {
						t.Fatal(err)
					}
					rec.ID, rec.Codes, rec.Bias, rec.Temperature = "prior of "+id, nil, nil, 0
					if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
						t.Fatal(err)
					}
					prior += rightShare(t, p, rec.ID, es[cut:])
				}
				of := float64(len(people) - half)
				t.Logf("%d examples: %.3f right, the prior %.3f", n, coded/of, prior/of)
				if n == 28 && coded < prior+want*of {
					t.Errorf("got %.3f right, the prior %.3f", coded/of, prior/of)
				}
			}
		})
	}
}
