package plot

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Points draws groups of points over axes. The curve at a group's place, if there is one, has the group's colour and the linear x of the points.
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
		s.Radius, s.Shape, s.Color = vg.Points(2.5), draw.CircleGlyph{}, colour(i)
		p.Add(s)
		p.Legend.Add(g.Name, s)
	}
	if n == 0 {
		return Picture{}, fmt.Errorf("%w: no points", ErrInput)
	}
	p.Legend.Left = true
	p.Y.Max += 0.09 * float64(len(groups)) * (p.Y.Max - p.Y.Min) // the legend's room
	return Picture{p, height}, nil
}

// Ticks are those of both axes instead of the usual ones: names of x by their place, and numbers of y.
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
