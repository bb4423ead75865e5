package main

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/research/eval"
	"github.com/xpeft/xpeft/research/plot"
)

// masked is a person with a mask.
type masked struct {
	id, majority string
	mask         *bitmask.Mask
}

// masksOf are those of a mode's first run that has any.
func masksOf(runs []eval.Run, mode string) ([]masked, error) {
	var all []masked
	for _, r := range runs {
		if r.Mode != mode || r.Shots != 0 || len(all) > 0 {
			continue
		}
		for _, p := range r.Profiles {
			if p.Mask == nil {
				continue
			}
			m, err := p.Mask.Bits()
			if err != nil {
				return nil, fmt.Errorf("%s, person %s: %w", mode, p.ID, err)
			}
			all = append(all, masked{p.ID, p.Majority, m})
		}
	}
	if len(all) < 3 {
		return nil, fmt.Errorf("%w: %d masks of mode %q, want 3 or more", eval.ErrData, len(all), mode)
	}
	return all, nil
}

func distances(all []masked) [][]float64 {
	d := make([][]float64, len(all))
	for i := range d {
		d[i] = make([]float64, len(all))
		for j := range i {
			x := jaccard(all[i].mask.Bytes(), all[j].mask.Bytes())
			d[i][j], d[j][i] = x, x
		}
	}
	return d
}

// jaccard is the distance 1 − |a∩b| / |a∪b| of two masks of one shape over the bits of all rows: 0
// for equal ones, 1 for masks with no adapter in common.
func jaccard(a, b []byte) float64 {
	union, both := 0, 0
	for i := range a {
		union += bits.OnesCount8(a[i] | b[i])
		both += bits.OnesCount8(a[i] & b[i])
	}
	return 1 - float64(both)/float64(max(1, union))
}

func drawTSNE(runs []eval.Run, mode string) (plot.Picture, error) {
	all, err := masksOf(runs, mode)
	if err != nil {
		return plot.Picture{}, err
	}
	d := distances(all)
	at := plot.TSNE(d, 15, 1000, 1)
	points := map[string][][2]float64{}
	for i, m := range all {
		points[m.majority] = append(points[m.majority], at[i])
	}
	var labels []string
	for l := range points {
		labels = append(labels, l)
	}
	slices.SortFunc(labels, func(a, b string) int { return cmp.Or(len(points[b])-len(points[a]), cmp.Compare(a, b)) })
	var groups []plot.Group
	rest := plot.Group{Name: "other", Rest: true}
	for i, l := range labels {
		if i < 8 {
			groups = append(groups, plot.Group{Name: l, Points: points[l]})
		} else {
			rest.Points = append(rest.Points, points[l]...)
		}
	}
	return plot.Scatter("Masks of new people ("+mode+"): t-SNE of Jaccard distances, by most frequent label",
		append(groups, rest))
}

func drawHeatmap(runs []eval.Run, mode string) (plot.Picture, error) {
	all, err := masksOf(runs, mode)
	if err != nil {
		return plot.Picture{}, err
	}
	d := distances(all)
	a, b := 1, 0
	for i := range d {
		for j := range i {
			if d[i][j] > d[a][b] {
				a, b = i, j
			}
		}
	}
	var cells plot.Cells
	cells.Keys = []string{"both", "only " + all[a].id + " (" + all[a].majority + ")",
		"only " + all[b].id + " (" + all[b].majority + ")"}
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		for l := range all[a].mask.Blocks {
			x, y := all[a].mask.Row(side, l), all[b].mask.Row(side, l)
			row := make([]int, all[a].mask.N)
			for i := range row {
				switch {
				case x.Get(i) && y.Get(i):
					row[i] = 1
				case x.Get(i):
					row[i] = 2
				case y.Get(i):
					row[i] = 3
				}
			}
			cells.Row, cells.Is = append(cells.Row, fmt.Sprintf("%v, block %d", side, l)), append(cells.Is, row)
		}
	}
	return plot.Heatmap(fmt.Sprintf("The two most distant masks of %s: Jaccard distance %.2f", mode, d[a][b]),
		"adapter", cells)
}
