//go:build torch && cgo

package torch

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// person is someone's labelled texts.
type person []learner.Example

// readPeople are the people of a file with at least 20 texts, 60 of each at most, and the labels.
func readPeople(t *testing.T, name string) (people []person, labels []string) {
	t.Helper()
	f, err := os.Open(filepath.Join(golden.Dir(), "../../../shared/data/people", name))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := model.LoadTokenizer(golden.Model(t))
	if err != nil {
		t.Fatal(err)
	}
	class, by, order := map[string]int{}, map[string]person{}, []string(nil)
	for sc := bufio.NewScanner(z); sc.Scan(); {
		var l struct{ Author, Text, Pair, Category string }
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if _, ok := class[l.Category]; !ok {
			class[l.Category] = len(labels)
			labels = append(labels, l.Category)
		}
		if by[l.Author] == nil {
			order = append(order, l.Author)
		}
		if len(by[l.Author]) < 60 {
			e := learner.Example{Class: class[l.Category]}
			tok.Encode(&e.Text, l.Text, l.Pair, 64)
			by[l.Author] = append(by[l.Author], e)
		}
	}
	for _, a := range order {
		if len(by[a]) >= 20 {
			people = append(people, by[a])
		}
	}
	return people, labels
}

// TestPeople: masks in the last block under a shared head, learned by each engine from the same
// texts of the same real people, answer as many of their other texts right. XPEFT_LONG takes 40
// people of a file, otherwise 2.
func TestPeople(t *testing.T) {
	n := 2
	if os.Getenv("XPEFT_LONG") != "" {
		n = 40
	}
	for _, name := range []string{"senate109.jsonl.gz", "polis-san-juan.jsonl.gz", "multipico-en.jsonl.gz"} {
		t.Run(name, func(t *testing.T) {
			people, labels := readPeople(t, name)
			half := len(people) / 2
			enc := minilm(t)
			b, err := bank.NewRandom(bank.Properties{Origin: bank.Random, N: 256, Blocks: 1, Hidden: enc.Hidden(),
				Bottleneck: 24, NormB: true, Seed: 7,
				SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
			engines := []engine.Engine{native.New(enc), open(t, enc, true)}
			head := sharedHead(t, learner.Env{Engine: engines[0], Encoder: enc}, labels, people[:half])
			var diffs []float64
			var right [2]float64
			same, texts := 0, 0
			for _, p := range people[half:min(half+n, len(people))] {
				var answers [2][]int
				for i, e := range engines {
					answers[i] = answer(t, learner.Env{Engine: e, Encoder: enc, Bank: b}, head, p)
				}
				var share [2]float64
				test := p[len(p)*7/10:]
				for k, e := range test {
					for i := range engines {
						if answers[i][k] == e.Class {
							share[i] += 1 / float64(len(test))
						}
					}
					if texts++; answers[0][k] == answers[1][k] {
						same++
					}
				}
				diffs = append(diffs, share[0]-share[1])
				right[0], right[1] = right[0]+share[0], right[1]+share[1]
			}
			mean, half95 := interval(diffs)
			of := float64(len(diffs))
			t.Logf("%d people, %d texts: native %.4f, libtorch %.4f right; native is ahead by %.4f ± %.4f (95 %%); "+
				"the same answer %d times", len(diffs), texts, right[0]/of, right[1]/of, mean, half95, same)
			if float64(same) < 0.97*float64(texts) {
				t.Errorf("got the same answer to %d of %d texts, want 97 in 100", same, texts)
			}
			if n == 40 && mean-half95 < -0.01 {
				t.Errorf("got native ahead by %.4f ± %.4f, want at least -0.01", mean, half95)
			}
		})
	}
}

func sharedHead(t *testing.T, env learner.Env, labels []string, people []person) *model.Head {
	t.Helper()
	j := learner.Job{Head: learner.NewHead(labels, env.Encoder.Hidden(), false, 1)}
	for _, p := range people {
		j.Train = append(j.Train, p[:min(len(p), 30)]...)
	}
	r, err := learner.Learn(context.Background(), env, j, learner.SharedHead())
	if err != nil {
		t.Fatal(err)
	}
	return r.Head
}

// answer learns seven in ten of a person's texts and answers the others.
func answer(t *testing.T, env learner.Env, head *model.Head, p person) []int {
	t.Helper()
	cut := len(p) * 7 / 10
	counts := make([]uint32, len(head.Labels))
	for _, e := range p[:cut] {
		counts[e.Class]++
	}
	j := learner.Job{Head: head, Train: p[:cut], Prior: head.Prior(counts, 3)}
	c := learner.LastBlocks()
	c.Seed = 5
	r, x, err := learner.LearnAndEmbed(context.Background(), env, j, c, p[cut:])
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int, len(p)-cut)
	for i := range out {
		z := r.Head.Logits(nil, x[i*head.Hidden:(i+1)*head.Hidden])
		for k := range z {
			z[k] += j.Prior[k]
			if z[k] > z[out[i]] {
				out[i] = k
			}
		}
	}
	return out
}

// interval is a mean and half the width of its 95 % interval.
func interval(x []float64) (mean, half float64) {
	n, square := float64(len(x)), 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		square += (v - mean) * (v - mean)
	}
	return mean, 1.96 * math.Sqrt(square/max(1, n-1)/n)
}
