package sdk

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/model"
)

// TestMultiNews measures what thresholds that are chosen out of fold by F1 gain and cost beside
// 0.5, for ten invented people with three labels over the kinds of a news file that $XPEFT_NEWS
// names (gzipped JSON lines with text and category).
func TestMultiNews(t *testing.T) {
	kinds, texts := newsOf(t)
	p := real(t, Config{Labels: []string{"urgent", "invoice", "reading"}, Multi: true})
	ctx := p.sharing(context.Background())
	for _, n := range []int{8, 20, 60, 120} {
		var right, prior, moved, even, best float64
		for person := range 10 {
			r := rand.New(rand.NewPCG(uint64(person), uint64(n)))
			of := map[string][]string{} // a kind's labels
			for c, many := range []int{5, 3, 1} {
				for _, k := range r.Perm(len(kinds))[:many] {
					of[kinds[k]] = append(of[kinds[k]], p.mustLabels(t)[c])
				}
			}
			draw := func(from, n int) (es []Example) {
				for range n {
					k := kinds[r.IntN(len(kinds))]
					es = append(es, Example{Text: texts[k][from+r.IntN(12)], Labels: append([]string{}, of[k]...)})
				}
				return es
			}
			id, train, test := fmt.Sprint(person, " of ", n), draw(0, n), draw(12, 160)
			if _, err := p.Learn(ctx, id, train, nil); err != nil {
				t.Fatal(err)
			}
			got, held := decisionsOf(ctx, t, p, id, test), foldsOf(ctx, t, p, id, train)
			for c := range 3 {
				often := 0
				for _, d := range held[c] {
					often += d.Label % 2
				}
				at := byF1(held[c])
				even, best = even+f1(got[c], 0.5)/30, best+f1(got[c], at)/30
				for _, d := range got[c] {
					has := d.Label%2 == 1
					count := func(to *float64, said bool) {
						if said == has {
							*to += 100. / 4800
						}
					}
					count(&right, d.Loss >= 0.5)
					count(&moved, d.Loss >= at)
					count(&prior, 2*often > len(held[c]))
				}
			}
		}
		t.Logf("%d examples: right at 0.5 %.1f %%, at thresholds by F1 %.1f %%, the prior %.1f %%; F1 %.2f and %.2f", n, right,
			moved, prior, even, best)
	}
}

// newsOf reads $XPEFT_NEWS: texts by their kind, and the kinds of which there are many.
func newsOf(t *testing.T) (kinds []string, texts map[string][]string) {
	f, err := os.Open(os.Getenv("XPEFT_NEWS"))
	if err != nil {
		t.Skip("no XPEFT_NEWS")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	texts = map[string][]string{}
	for lines := bufio.NewScanner(z); lines.Scan(); {
		var l struct{ Text, Category string }
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		texts[l.Category] = append(texts[l.Category], l.Text)
	}
	for kind, all := range texts {
		if len(all) >= 60 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds, texts
}

func (p *Folder) mustLabels(t *testing.T) []string {
	labels, err := p.Labels(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return labels
}

// decisionsOf are, for each label, each text's probability (as Loss) and whether it has the label
// (Label 1).
func decisionsOf(ctx context.Context, t *testing.T, p *Folder, id string, es []Example) (out [3][]digits.Answer) {
	s, err := p.snapshot(id)
	if err != nil {
		t.Fatal(err)
	}
	encoded := make([]model.Encoding, len(es))
	for i, e := range es {
		p.read(&encoded[i], e.Text, "")
	}
	phi, err := p.features(ctx, encoded)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range es {
		r := request{text: encoded[i], snapshot: s, head: s.head, offset: s.offset, multi: true}
		a := r.answer(phi[i*p.width():(i+1)*p.width()], p.foldRows(s))
		for c, q := range a.Probabilities {
			d := digits.Answer{Loss: float64(q.P)}
			if slices.Contains(e.Labels, q.Label) {
				d.Label = 1
			}
			out[c] = append(out[c], d)
		}
	}
	return out
}

// foldsOf are decisionsOf, out of fold.
func foldsOf(ctx context.Context, t *testing.T, p *Folder, id string, es []Example) (out [3][]digits.Answer) {
	opts, err := (*LearnOptions)(nil).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.newLearning(ctx, id+"?", es, opts)
	if err == nil {
		err = l.learnDigits(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range l.after {
		q := math.Exp(-a.Loss)
		if l.who.Class[i]%2 == 0 {
			q = 1 - q
		}
		out[i%3] = append(out[i%3], digits.Answer{Loss: q, Label: l.who.Class[i] % 2})
	}
	return out
}

// byF1 is the threshold of the best F1, the nearest to 0.5 of equals.
func byF1(all []digits.Answer) (at float64) {
	best := -1.
	for k := 5; k <= 95; k += 5 {
		q := float64(k) / 100
		if v := f1(all, q); v > best || v == best && math.Abs(q-0.5) < math.Abs(at-0.5) {
			best, at = v, q
		}
	}
	return at
}

func f1(all []digits.Answer, at float64) float64 {
	both, sum := 0., 0.
	for _, d := range all {
		said := d.Loss >= at
		if said {
			sum++
		}
		if sum += float64(d.Label); said && d.Label == 1 {
			both++
		}
	}
	if sum == 0 {
		return 1
	}
	return 2 * both / sum
}
