package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/research/eval"
	"github.com/xpeft/xpeft/research/plot"
)

// drawPeople draws learning curves of the rows that eval people --json printed.
func drawPeople(paths []string, _ string) (plot.Picture, error) {
	at := map[string]int{}
	var lines []plot.Line
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return plot.Picture{}, err
		}
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			var r eval.PeopleRow
			if err := json.Unmarshal(in.Bytes(), &r); err != nil {
				return plot.Picture{}, fmt.Errorf("%w: %s: %w", eval.ErrData, path, err)
			}
			if r.Mode == "" || r.Shots == 0 { // a line of a bank
				continue
			}
			i, ok := at[r.Mode]
			if !ok {
				i, at[r.Mode] = len(lines), len(lines)
				lines = append(lines, plot.Line{Name: r.Mode})
			}
			lines[i].X, lines[i].Y = append(lines[i].X, float64(r.Shots)), append(lines[i].Y, r.Accuracy)
		}
	}
	lines = slices.DeleteFunc(lines, func(l plot.Line) bool {
		return !slices.Contains([]string{"prior", "own head", "code", "asked"}, l.Name)
	})
	return plot.Lines("New people whose population differs", "answers of the person", "mean accuracy over people",
		lines)
}

// ofPlaces makes a kind of picture of a function that draws the file of eval people --places.
func ofPlaces(draw func(*eval.Places) (plot.Picture, error)) func([]string, string) (plot.Picture, error) {
	return func(paths []string, _ string) (plot.Picture, error) {
		if len(paths) != 1 {
			return plot.Picture{}, usagef("%d files of places, want one", len(paths))
		}
		p, err := eval.ReadPlaces(paths[0])
		if err != nil {
			return plot.Picture{}, err
		}
		return draw(p)
	}
}

// shares are, of each person, how often they give the last label to texts that their code did not
// see.
func shares(p *eval.Places) []float64 {
	yes, all := make([]float64, len(p.People)), make([]float64, len(p.People))
	for _, t := range p.Texts {
		for k, who := range t.Who {
			if all[who]++; t.Class[k] == len(p.Labels)-1 {
				yes[who]++
			}
		}
	}
	for who := range yes {
		yes[who] /= math.Max(1, all[who])
	}
	return yes
}

// drawPlaces is Figure 3 for codes: they are a few numbers, drawn as they are.
func drawPlaces(p *eval.Places) (plot.Picture, error) {
	share, y := shares(p), "bias to "+p.Labels[len(p.Labels)-1]
	if len(p.Digits) > 1 {
		y = "second axis"
	}
	sorted, last := slices.Sorted(slices.Values(share)), len(p.Labels)-1
	var groups []plot.Group
	for third := range 3 {
		low, high := sorted[third*len(sorted)/3], sorted[(third+1)*len(sorted)/3-1]
		groups = append(groups, plot.Group{Name: fmt.Sprintf("%s to %.0f–%.0f %% of the texts kept back",
			p.Labels[last], 100*low, 100*high)})
	}
	for who, one := range p.People {
		third := 0
		for third < 2 && share[who] >= sorted[(third+1)*len(sorted)/3] {
			third++
		}
		point := [2]float64{one.Z[0], one.Bias[last] - one.Bias[0]}
		if len(one.Z) > 1 {
			point[1] = one.Z[1]
		}
		groups[third].Points = append(groups[third].Points, point)
	}
	return plot.Points(fmt.Sprintf("Codes of %d people who are new to the bank", len(p.People)), "first axis",
		y, groups, nil)
}

// bitRows is how many people's rows are drawn.
const bitRows = 24

// drawBits is Figure 6 for codes: people's rows, from one end of the first axis to the other.
func drawBits(p *eval.Places) (plot.Picture, error) {
	order := make([]int, len(p.People))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.People[b].Z[0], p.People[a].Z[0]) })
	cells := plot.Cells{Keys: []string{"+ of the pair", "− of the pair"}}
	n := min(bitRows, len(order))
	for k := range n {
		one := p.People[order[k*len(order)/n]]
		var row []int
		for j, digits := range p.Digits {
			for m := digits - 1; m >= 0; m-- {
				row = append(row, 2-one.Level[j]>>m&1)
			}
			row = append(row, 0)
		}
		cells.Row, cells.Is = append(cells.Row, one.ID[:min(6, len(one.ID))]), append(cells.Is, row)
	}
	return plot.Heatmap(fmt.Sprintf("Rows of %d of %d people, by their place on the first axis", n, len(order)),
		"digit of each axis, the most significant first", cells)
}

// drawAnswers shows what a place on the first axis says: how likely the last label is for three
// texts that no code saw, chosen by the bank alone, and who gave it.
func drawAnswers(p *eval.Places) (plot.Picture, error) {
	last, C := len(p.Labels)-1, len(p.Labels)
	slope := func(t eval.PlacedText) float64 { return t.Row[C+last] - t.Row[C] }
	texts := slices.DeleteFunc(slices.Clone(p.Texts),
		func(t eval.PlacedText) bool { return len(t.Who) < len(p.People)/4 })
	if len(texts) < 3 {
		return plot.Picture{}, fmt.Errorf("%w: %d texts that a quarter of the people answered, want 3", eval.ErrData,
			len(texts))
	}
	slices.SortStableFunc(texts, func(a, b eval.PlacedText) int { return cmp.Compare(slope(a), slope(b)) })
	flattest := slices.MinFunc(texts[1:len(texts)-1],
		func(a, b eval.PlacedText) int { return cmp.Compare(math.Abs(slope(a)), math.Abs(slope(b))) })
	low, high, bias := math.Inf(1), math.Inf(-1), make([]float64, C)
	for _, one := range p.People {
		low, high = math.Min(low, one.Z[0]), math.Max(high, one.Z[0])
		for c, v := range one.Bias {
			bias[c] += v / float64(len(p.People))
		}
	}
	var groups []plot.Group
	var curves []plot.Line
	for k, t := range []eval.PlacedText{texts[len(texts)-1], texts[0], flattest} {
		curve, group := plot.Line{Name: t.Text}, plot.Group{Name: shorten(t.Text, 96)}
		for i := range 101 {
			x := low + (high-low)*float64(i)/100
			curve.X, curve.Y = append(curve.X, x), append(curve.Y, probability(t.Row[:2*C], bias, x, last))
		}
		for i, who := range t.Who {
			y := -0.03 * float64(k+1)
			if t.Class[i] == last {
				y = 1 + 0.03*float64(k+1)
			}
			group.Points = append(group.Points, [2]float64{p.People[who].Z[0], y})
		}
		groups, curves = append(groups, group), append(curves, curve)
	}
	pic, err := plot.Points(fmt.Sprintf(
		"What the %d bits of a new person say about texts that they were not learned from", p.Digits[0]),
		"the code's bits, and its place",
		fmt.Sprintf("probability of %s; dots: who gave it, who did not", p.Labels[last]), groups, curves)
	if err != nil {
		return pic, err
	}
	bits := map[float64]string{}
	for k := range 6 {
		one := p.People[nearest(p.People, low+(high-low)*float64(k)/5)]
		bits[one.Z[0]] = fmt.Sprintf("%0*b", p.Digits[0], one.Level[0])
	}
	return pic.Ticks(bits, 0, 0.5, 1), nil
}

// nearest is who is nearest to a place on the first axis.
func nearest(people []eval.Place, z float64) (who int) {
	for k, one := range people {
		if math.Abs(one.Z[0]-z) < math.Abs(people[who].Z[0]-z) {
			who = k
		}
	}
	return who
}

// probability of a label at a place on the first axis.
func probability(row, bias []float64, z float64, label int) float64 {
	C, sum := len(bias), 0.0
	logit := func(c int) float64 { return row[c] + bias[c] + z*row[C+c] }
	for c := range C {
		sum += math.Exp(logit(c) - logit(label))
	}
	return 1 / sum
}

func shorten(text string, most int) string {
	if r := []rune(strings.TrimSpace(text)); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
