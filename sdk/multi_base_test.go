package sdk

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMultiNewcomers measures what is answered for somebody who has taught nothing or little where
// labels are not exclusive: over texts of one or two pieces of news of a file that $XPEFT_NEWS
// names, whose labels are their kinds, of which a folder has some or all; and with three labels
// that each person gives to other kinds, so that their names say nothing.
func TestMultiNewcomers(t *testing.T) {
	kinds, texts := newsOf(t)
	for _, set := range [][]string{kinds, kinds[6:9], {"urgent", "invoice", "reading"}} {
		p := real(t, Config{Labels: set, Multi: true})
		t.Log(set)
		for _, n := range []int{0, 1, 2, 4, 20} {
			var s shares
			for person := range 6 {
				r := rand.New(rand.NewPCG(uint64(person), uint64(n)))
				named := namedBy(r, kinds, set)
				draw := func(from, n int) (es []Example) {
					for range n {
						e := Example{Labels: []string{}}
						for range 1 + r.IntN(2) {
							kind := kinds[r.IntN(len(kinds))]
							e.Text += " " + texts[kind][from+r.IntN(12)]
							e.Labels = append(e.Labels, named[kind]...)
						}
						slices.Sort(e.Labels)
						e.Labels = slices.Compact(e.Labels)
						es = append(es, e)
					}
					return es
				}
				id := fmt.Sprint(person, " of ", n)
				if n > 0 {
					mustLearn(t, p, id, draw(0, n), nil)
				}
				s.ask(t, p, id, draw(12, 40))
			}
			t.Logf("%3d examples: %s", n, s)
		}
	}
}

// namedBy are the labels of each kind: itself, or what a person gives it whom r draws.
func namedBy(r *rand.Rand, kinds, set []string) map[string][]string {
	named := map[string][]string{}
	if !slices.Contains(kinds, set[0]) {
		for c, many := range []int{5, 3, 1} {
			for _, k := range r.Perm(len(kinds))[:many] {
				named[kinds[k]] = append(named[kinds[k]], set[c])
			}
		}
		return named
	}
	for _, kind := range set {
		named[kind] = []string{kind}
	}
	return named
}

// shares are sums over texts.
type shares struct {
	texts, decisions, said, has, both, right, none, all int
	loss                                                float64
}

func (s *shares) ask(t *testing.T, p *Folder, id string, es []Example) {
	reqs := make([]Request, len(es))
	for i, e := range es {
		reqs[i] = Request{Profile: id, Text: e.Text, Fallback: FallbackBase, NoTaught: true}
	}
	out, err := p.PredictBatch(context.Background(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range out {
		s.texts++
		s.said += len(got.Labels)
		s.has += len(es[i].Labels)
		if len(got.Labels) == 0 {
			s.none++
		}
		if len(got.Labels) == len(got.Probabilities) {
			s.all++
		}
		for _, q := range got.Probabilities {
			has, said := slices.Contains(es[i].Labels, q.Label), slices.Contains(got.Labels, q.Label)
			like := float64(q.P)
			s.decisions++
			if has == said {
				s.right++
			}
			if has && said {
				s.both++
			}
			if !has {
				like = 1 - like
			}
			s.loss -= math.Log(max(like, 1e-9))
		}
	}
}

func (s shares) String() string {
	of := func(n int) float64 { return float64(n) / float64(s.texts) }
	return fmt.Sprintf("%.2f labels a text, of %.2f; all %.0f %%, none %.0f %%; right %.1f %% of decisions, loss %.3f, F1 %.2f",
		of(s.said), of(s.has), 100*of(s.all), 100*of(s.none), 100*float64(s.right)/float64(s.decisions),
		s.loss/float64(s.decisions), 2*float64(s.both)/float64(max(1, s.said+s.has)))
}
