package plot

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Group is a set of points with a name; the last one may be the rest, which is grey.
type Group struct {
	Name   string
	Points [][2]float64
	Rest   bool
}

// Scatter draws points without axes: only who is near whom means something.
func Scatter(title string, groups []Group) (Picture, error) {
	p := page(title, "", "")
	p.HideAxes()
	err := scatter(p, groups, 3, func(g Group) string { return fmt.Sprintf("%s (%d)", g.Name, len(g.Points)) })
	if err != nil {
		return Picture{}, err
	}
	// The legend stands beside the points, not over them.
	p.X.Max += 0.45 * (p.X.Max - p.X.Min)
	return Picture{p, height}, nil
}

// scatter adds groups of points of a radius to a plot, and to its legend by name.
func scatter(p *plot.Plot, groups []Group, radius float64, name func(Group) string) error {
	n := 0
	for i, g := range groups {
		points := make(plotter.XYs, len(g.Points))
		for j, at := range g.Points {
			points[j] = plotter.XY{X: at[0], Y: at[1]}
		}
		if n += len(points); len(points) == 0 {
			continue
		}
		s, err := plotter.NewScatter(points)
		if err != nil {
			return fmt.Errorf("%w: %q: %w", ErrInput, g.Name, err)
		}
		s.Radius, s.Shape, s.Color = vg.Points(radius), draw.CircleGlyph{}, colour(i)
		if g.Rest {
			s.Color = grey
		}
		p.Add(s)
		p.Legend.Add(name(g), s)
	}
	if n == 0 {
		return fmt.Errorf("%w: no points", ErrInput)
	}
	return nil
}
