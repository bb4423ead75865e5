package plot

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Points draws groups of points over axes. The curve at a group's place, if there is one, has the
// group's colour and the linear x of the points.
func Points(title, x, y string, groups []Group, curves []Line) (Picture, error) {
	p := page(title, x, y)
	grid(p)
	for i, l := range curves {
		points := make(plotter.XYs, len(l.X))
		for j := range l.X {
			points[j] = plotter.XY{X: l.X[j], Y: l.Y[j]}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return Picture{}, fmt.Errorf("%w: %q: %w", ErrInput, l.Name, err)
		}
		line.Color, line.Width = colour(i), vg.Points(1.5)
		p.Add(line)
	}
	if err := scatter(p, groups, 2.5, func(g Group) string { return g.Name }); err != nil {
		return Picture{}, err
	}
	p.Legend.Left = true
	p.Y.Max += 0.09 * float64(len(groups)) * (p.Y.Max - p.Y.Min) // the legend's room
	return Picture{p, height}, nil
}

// Ticks are those of both axes instead of the usual ones: names of x by their place, and numbers of
// y.
func (pic Picture) Ticks(x map[float64]string, y ...float64) Picture {
	var xs, ys []plot.Tick
	for at, name := range x {
		xs = append(xs, plot.Tick{Value: at, Label: name})
	}
	for _, at := range y {
		ys = append(ys, plot.Tick{Value: at, Label: fmt.Sprint(at)})
	}
	pic.p.X.Tick.Marker, pic.p.Y.Tick.Marker = plot.ConstantTicks(xs), plot.ConstantTicks(ys)
	return pic
}
