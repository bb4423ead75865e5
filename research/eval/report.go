package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/research/stats"
)

// draws of every interval and test.
const draws = 10_000

// Row is one mode in a table of profiles. A person counts once: with the mean over the splits and
// seeds in which they were new.
type Row struct {
	Mode     string         `json:"mode"`
	Setting  string         `json:"setting"`
	Shots    int            `json:"shots,omitempty"`
	People   int            `json:"people"`
	Runs     int            `json:"runs"`
	Accuracy stats.Interval `json:"accuracy"`
	MacroF1  stats.Interval `json:"macro_f1"`
	Bytes    float64        `json:"bytes"`   // mean
	Seconds  float64        `json:"seconds"` // mean, to learn one person and to answer the test
	// Behind is how far the mode is behind the reference on the same people, splits and seeds.
	Behind stats.Interval `json:"behind"`
	P      float64        `json:"p"`    // paired permutation test
	Holm   float64        `json:"holm"` // P, corrected for the number of modes
}

// cell is one person in one split, seed and shots.
type cell struct {
	split, seed, shots int
	id                 string
}

// Report compares modes with a reference. Runs of tasks are left out. It is an error if the
// reference did not run.
func Report(runs []Run, reference string) ([]Row, error) {
	type group struct {
		row   Row
		cells map[cell]Profile
	}
	groups := map[string]*group{}
	key := func(mode string, shots int) string { return fmt.Sprint(mode, " ", shots) }
	for _, r := range runs {
		if r.Task != profilesTask {
			continue
		}
		g := groups[key(r.Mode, r.Shots)]
		if g == nil {
			g = &group{row: Row{Mode: r.Mode, Setting: r.Setting, Shots: r.Shots}, cells: map[cell]Profile{}}
			groups[key(r.Mode, r.Shots)] = g
		}
		g.row.Runs++
		for _, p := range r.Profiles {
			g.cells[cell{r.Split, r.Seed, r.Shots, p.ID}] = p
		}
	}
	var rows []Row
	for _, g := range groups {
		ref := groups[key(reference, g.row.Shots)]
		if ref == nil {
			return nil, fmt.Errorf("%w: the reference %q has no runs beside those of %s", ErrData, reference,
				g.row.Mode)
		}
		rows = append(rows, g.row.fill(g.cells, ref.cells))
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(a.Shots-b.Shots, cmp.Compare(b.Accuracy.Mean, a.Accuracy.Mean), cmp.Compare(a.Mode, b.Mode))
	})
	correct(rows, reference)
	return rows, nil
}

// fill measures a mode, and compares it with the reference where both ran.
func (r Row) fill(own, ref map[cell]Profile) Row {
	accuracy, f1 := perPerson(own, own, "accuracy"), perPerson(own, own, "macro_f1")
	r.People = len(accuracy)
	r.Accuracy, r.MacroF1 = stats.Bootstrap(accuracy, draws, 1), stats.Bootstrap(f1, draws, 1)
	for _, p := range own {
		r.Bytes += float64(p.Bytes) / float64(len(own))
		r.Seconds += p.Seconds / float64(len(own))
	}
	a, b := perPerson(ref, own, "accuracy"), perPerson(own, ref, "accuracy")
	diff := make([]float64, len(a))
	for i := range a {
		diff[i] = a[i] - b[i]
	}
	r.Behind, r.P = stats.Bootstrap(diff, draws, 1), stats.PairedPermutation(a, b, draws, 1)
	return r
}

// perPerson is each person's mean metric over the cells that are in both, in the order of ids.
func perPerson(of, both map[cell]Profile, metric string) []float64 {
	sums, ns := map[string]float64{}, map[string]float64{}
	var cells []cell
	for c := range of {
		if _, ok := both[c]; ok {
			cells = append(cells, c)
		}
	}
	slices.SortFunc(cells, func(a, b cell) int { // sums do not depend on the map's order
		return cmp.Or(strings.Compare(a.id, b.id), a.split-b.split, a.seed-b.seed)
	})
	var ids []string
	for _, c := range cells {
		if ns[c.id] == 0 {
			ids = append(ids, c.id)
		}
		sums[c.id] += of[c].Metrics[metric]
		ns[c.id]++
	}
	out := make([]float64, len(ids))
	for i, id := range ids {
		out[i] = sums[id] / ns[id]
	}
	return out
}

// correct applies Holm's correction to the comparisons of each table.
func correct(rows []Row, reference string) {
	byShots := map[int][]int{}
	for i, r := range rows {
		if r.Mode != reference {
			byShots[r.Shots] = append(byShots[r.Shots], i)
		}
	}
	for _, is := range byShots {
		ps := make([]float64, len(is))
		for j, i := range is {
			ps[j] = rows[i].P
		}
		for j, p := range stats.Holm(ps) {
			rows[is[j]].Holm = p
		}
	}
}

// Markdown draws the table.
func Markdown(rows []Row, reference string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| mode | setting | people × runs | accuracy (95 %%) | macro-F1 | bytes | s | %s ahead by (95 "+
		"%%) | p | Holm |\n|---|---|---|---|---|---|---|---|---|---|\n", reference)
	for _, r := range rows {
		mode := r.Mode
		if r.Shots > 0 {
			mode = fmt.Sprintf("%s, %d texts", mode, r.Shots)
		}
		ahead, p, holm := fmt.Sprintf("%+.1f (%+.1f to %+.1f)", 100*r.Behind.Mean, 100*r.Behind.Low,
			100*r.Behind.High), fmt.Sprintf("%.4f", r.P), fmt.Sprintf("%.4f", r.Holm)
		if r.Mode == reference {
			ahead, p, holm = "–", "–", "–"
		}
		fmt.Fprintf(&b, "| %s | %s | %d × %d | %.1f (%.1f to %.1f) | %.1f | %.0f | %.2f | %s | %s | %s |\n", mode,
			r.Setting, r.People, r.Runs,
			100*r.Accuracy.Mean, 100*r.Accuracy.Low, 100*r.Accuracy.High, 100*r.MacroF1.Mean, r.Bytes, r.Seconds,
			ahead, p, holm)
	}
	return b.String()
}
