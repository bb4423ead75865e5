package plot

import (
	"fmt"

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
			return Picture{}, fmt.Errorf("%w: %q: %w", ErrInput, g.Name, err)
		}
		s.Radius, s.Shape, s.Color = vg.Points(3), draw.CircleGlyph{}, colour(i)
		if g.Rest {
			s.Color = grey
		}
		p.Add(s)
		p.Legend.Add(fmt.Sprintf("%s (%d)", g.Name, len(points)), s)
	}
	if n == 0 {
		return Picture{}, fmt.Errorf("%w: no points", ErrInput)
	}
	// The legend stands beside the points, not over them.
	p.X.Max += 0.45 * (p.X.Max - p.X.Min)
	return Picture{p, height}, nil
}
