package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

// Windows measures what long texts are answered that are read in windows. They are made of short
// texts: one run of them has the label, and fillers of other labels stand before and behind it. No
// short text is both in what is learned and in what is asked.
type Windows struct {
	Machine *Machine // whose MaxTokens is a window's
	Most    int      // windows of a text
	Data    *Data
	Labels  []string // that are learned
	Filler  []string // labels of the fillers
	Pieces  int      // short texts of a long one
	Decide  int      // of these that have the label
	Learn   int      // long texts that are learned, decided anywhere
	Asked   int      // long texts for each place
	Seed    uint64
}

// WindowsRow is how a way of learning and answering did, where the label was decided early, in the
// middle and late.
type WindowsRow struct {
	Learned  string     `json:"learned"`
	Answered string     `json:"answered"`
	N        int        `json:"n"` // texts for each place
	Accuracy [3]float64 `json:"accuracy"`
	Loss     [3]float64 `json:"loss"` // log-loss
}

// longText is a text's windows, as heads see them.
type longText struct {
	class, place int
	tokens       []float32   // of each window
	phi          [][]float32 // of each window
}

// windowWays are what is learned, and how it is answered.
var windowWays = []struct {
	learned string
	answers []string
}{
	{"the first window", []string{"the first window"}},
	{"mean φ", []string{"mean φ", "mean probabilities", "largest logits"}},
	{"each window", []string{"mean φ", "mean probabilities", "largest logits"}},
}

// Run makes the texts, learns them in each way and asks the others.
func (w *Windows) Run(ctx context.Context) (rows []WindowsRow, err error) {
	root, err := os.MkdirTemp("", "xpeft-windows-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	a := aloneWorld{World: &World{Machine: w.Machine, Labels: w.Labels}}
	a.home.dir = filepath.Join(root, "home")
	p, err := sdk.Create(ctx, a.home.dir, sdk.Config{Model: w.Machine.Dir, Labels: w.Labels})
	if err == nil {
		err = p.Close()
	}
	if err != nil {
		return nil, err
	}
	f, err := a.readFeatures(ctx, &Data{})
	if err != nil {
		return nil, err
	}
	texts, err := w.texts(ctx, f)
	if err != nil {
		return nil, err
	}
	for _, way := range windowWays {
		h, offset, err := f.learnLong(ctx, texts[:w.Learn], way.learned)
		if err != nil {
			return nil, err
		}
		for _, answered := range way.answers {
			row := WindowsRow{Learned: way.learned, Answered: answered, N: w.Asked}
			for _, t := range texts[w.Learn:] {
				p := t.answer(h, offset, answered)
				if slices.Index(p, slices.Max(p)) == t.class {
					row.Accuracy[t.place] += 1 / float64(w.Asked)
				}
				row.Loss[t.place] -= math.Log(max(p[t.class], math.Exp(-unlikely))) / float64(w.Asked)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// texts are those that are learned, then those that are asked.
func (w *Windows) texts(ctx context.Context, f *features) ([]*longText, error) {
	r := rand.New(rand.NewPCG(w.Seed, 1))
	known, fresh, err := w.pieces(r)
	if err != nil {
		return nil, err
	}
	var out []*longText
	var windows []model.Encoding
	for i := range w.Learn + 3*w.Asked {
		from, place := known, i/len(w.Labels)%3
		if i >= w.Learn {
			from, place = fresh, (i-w.Learn)/w.Asked
		}
		t := &longText{class: i % len(w.Labels), place: place}
		fill := draw(r, from[""], w.Pieces-w.Decide)
		own, at := draw(r, from[w.Labels[t.class]], w.Decide), place*len(fill)/2
		var e model.Encoding
		w.Machine.Tokenizer.EncodeWindows(&e, strings.Join(slices.Concat(fill[:at], own, fill[at:]), " "), "",
			w.Machine.MaxTokens, w.Most)
		if e.Windows == nil {
			e.Windows = []int32{int32(len(e.IDs))}
		}
		for _, n := range e.Windows {
			t.tokens = append(t.tokens, float32(n))
			windows = append(windows, model.Encoding{IDs: e.IDs[:n], TypeIDs: e.TypeIDs[:n]})
			e.IDs, e.TypeIDs = e.IDs[n:], e.TypeIDs[n:]
		}
		out = append(out, t)
	}
	states, err := w.Machine.states(ctx, windows, f.axes.Taps)
	phi := f.axes.Phi(nil, states)
	for _, t := range out {
		for range t.tokens {
			t.phi, phi = append(t.phi, phi[:f.axes.Dim()]), phi[f.axes.Dim():]
		}
	}
	return out, err
}

// pieces are the short texts of each label, fillers under none, in two halves.
func (w *Windows) pieces(r *rand.Rand) (known, fresh map[string][]string, err error) {
	all, seen := map[string][]string{}, map[string]bool{}
	for _, p := range w.Data.People {
		for _, e := range p.Examples {
			if seen[e.Text] {
				continue
			}
			seen[e.Text] = true
			if slices.Contains(w.Filler, e.Label) {
				e.Label = ""
			}
			all[e.Label] = append(all[e.Label], e.Text)
		}
	}
	known, fresh = map[string][]string{}, map[string][]string{}
	for _, l := range append([]string{""}, w.Labels...) {
		texts := draw(r, all[l], len(all[l]))
		known[l], fresh[l] = texts[:len(texts)/2], texts[len(texts)/2:]
		if want := max(w.Decide, w.Pieces-w.Decide); len(known[l]) < want {
			return nil, nil, fmt.Errorf("%w: %d texts of label %q, want %d", ErrData, len(texts), l, 2*want)
		}
	}
	return known, fresh, nil
}

// draw is n of some texts, each once.
func draw(r *rand.Rand, from []string, n int) (out []string) {
	for _, i := range r.Perm(len(from))[:n] {
		out = append(out, from[i])
	}
	return out
}

// learnLong learns digits as the SDK does, of the first windows, of each text's mean φ, or of each
// window with the text's label.
func (f *features) learnLong(ctx context.Context, texts []*longText, how string) (*model.Head, []float32, error) {
	prior := func(counts []uint32) []float32 { return f.head.Prior(counts, aloneAlpha) }
	who := &digits.Person{A: f.axes.Count(), C: len(f.head.Labels), Digits: f.axes.Digits, Prior: prior}
	counts := make([]uint32, who.C)
	for _, t := range texts {
		seen := t.phi[:1]
		switch how {
		case "mean φ":
			seen = [][]float32{t.mean()}
		case "each window":
			seen = t.phi
		}
		for _, x := range seen {
			who.P, who.Base = f.axes.Project(who.P, x), f.head.Logits(who.Base, x)
			who.Class, who.Weight = append(who.Class, t.class), append(who.Weight, 1/float32(len(seen)))
			counts[t.class]++
		}
	}
	r, err := digits.Learn(ctx, who, nil)
	if err != nil {
		return nil, nil, err
	}
	h, offset, size := f.head.Clone(), prior(counts), len(r.Rows)/max(1, len(r.Labels))
	for i, label := range r.Labels {
		f.axes.AddRow(h.W[int(label)*h.Hidden:], r.Rows[i*size:(i+1)*size], float32(digits.Scale(r.Scales[i])))
	}
	return h, plus(offset, r.Bias), nil
}

// mean is φ over all windows, weighted by their tokens.
func (t *longText) mean() []float32 {
	out, all := make([]float32, len(t.phi[0])), float32(0)
	for i, phi := range t.phi {
		all += t.tokens[i]
		for j, v := range phi {
			out[j] += t.tokens[i] * v
		}
	}
	for j := range out {
		out[j] /= all
	}
	return out
}

// answer is the probability of each label.
func (t *longText) answer(h *model.Head, offset []float32, how string) []float64 {
	logits := func(x []float32) []float32 { return plus(h.Logits(nil, x), offset) }
	switch how {
	case "the first window":
		return probabilities(logits(t.phi[0]))
	case "mean φ":
		return probabilities(logits(t.mean()))
	}
	z, mean := logits(t.phi[0]), make([]float64, h.Outputs())
	for _, phi := range t.phi {
		one := logits(phi)
		for c := range z {
			z[c] = max(z[c], one[c])
		}
		for c, p := range probabilities(one) {
			mean[c] += p / float64(len(t.phi))
		}
	}
	if how == "largest logits" {
		return probabilities(z)
	}
	return mean
}

func probabilities(z []float32) (out []float64) {
	for _, p := range model.Softmax(z) {
		out = append(out, float64(p))
	}
	return out
}

// WindowsMarkdown is the rows as a table.
func WindowsMarkdown(rows []WindowsRow) string {
	var b strings.Builder
	b.WriteString("| learned | answered by | early | middle | late | log-loss |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		a, l := r.Accuracy, r.Loss
		fmt.Fprintf(&b, "| %s | %s | %.3f | %.3f | %.3f | %.3f, %.3f, %.3f |\n", r.Learned, r.Answered, a[0], a[1],
			a[2], l[0], l[1], l[2])
	}
	return b.String()
}
