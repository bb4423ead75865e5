package plot

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Line is one curve. Low and High may be nil.
type Line struct {
	Name      string
	X, Y      []float64
	Low, High []float64
}

// Lines draws curves over a logarithmic x of base 2.
func Lines(title, x, y string, lines []Line) (Picture, error) {
	pic, err := drawLines(title, x, y, lines)
	if err == nil {
		pic.p.Y.Min -= 0.05 * float64(len(lines)) * (pic.p.Y.Max - pic.p.Y.Min) // the legend's room
	}
	return pic, err
}

// Course draws curves of many points over a linear x, from y=0 on: what something did in time.
func Course(title, x, y string, lines []Line) (Picture, error) {
	if len(lines) == 0 {
		return Picture{}, fmt.Errorf("%w: no lines", ErrInput)
	}
	p := page(title, x, y)
	grid(p)
	most := 0.0
	for i, l := range lines {
		if len(l.X) == 0 || len(l.X) != len(l.Y) {
			return Picture{}, fmt.Errorf("%w: line %q has %d and %d values", ErrInput, l.Name, len(l.X), len(l.Y))
		}
		points := make(plotter.XYs, len(l.X))
		for j := range l.X {
			points[j] = plotter.XY{X: l.X[j], Y: l.Y[j]}
			most = math.Max(most, l.Y[j])
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return Picture{}, fmt.Errorf("%w: %q: %w", ErrInput, l.Name, err)
		}
		line.Color, line.Width = colour(i), vg.Points(1.2)
		p.Add(line)
		p.Legend.Add(l.Name, line)
	}
	p.Y.Min, p.Y.Max = 0, most*(1+0.08*float64(1+len(lines))) // the legend's room
	return Picture{p, height}, nil
}

// Growth is Lines with a logarithmic y too, where a power of x is a straight line. Every value must
// be above 0.
func Growth(title, x, y string, lines []Line) (Picture, error) {
	for _, l := range lines {
		for _, values := range [][]float64{l.Y, l.Low, l.High} {
			for _, v := range values {
				if !(v > 0) {
					return Picture{}, fmt.Errorf("%w: line %q has the value %g", ErrInput, l.Name, v)
				}
			}
		}
	}
	pic, err := drawLines(title, x, y, lines)
	if err != nil {
		return pic, err
	}
	axis := &pic.p.Y
	axis.Scale, axis.Tick.Marker = plot.LogScale{}, growthTicks{}
	// else the noise of a flat curve would fill the picture
	if axis.Min, axis.Max = axis.Min/1.1, axis.Max*1.1; axis.Max < 2*axis.Min {
		middle := math.Sqrt(axis.Min * axis.Max)
		axis.Min, axis.Max = middle/2, middle*2
	}
	return pic, err
}

// growthTicks are powers of ten, or even steps where there are hardly any.
type growthTicks struct{}

func (growthTicks) Ticks(low, high float64) []plot.Tick {
	if high < 30*low {
		return plot.DefaultTicks{}.Ticks(low, high)
	}
	return plot.LogTicks{Prec: -1}.Ticks(low, high)
}

func drawLines(title, x, y string, lines []Line) (Picture, error) {
	if len(lines) == 0 {
		return Picture{}, fmt.Errorf("%w: no lines", ErrInput)
	}
	p := page(title, x, y)
	grid(p)
	var ticks []plot.Tick
	seen := map[float64]bool{}
	for i, l := range lines {
		if len(l.X) == 0 || len(l.X) != len(l.Y) || l.Low != nil &&
			(len(l.Low) != len(l.X) || len(l.High) != len(l.X)) {
			return Picture{}, fmt.Errorf("%w: line %q has %d and %d values", ErrInput, l.Name, len(l.X), len(l.Y))
		}
		points := make(plotter.XYs, len(l.X))
		for j := range l.X {
			if !(l.X[j] > 0) {
				return Picture{}, fmt.Errorf("%w: line %q at x=%g", ErrInput, l.Name, l.X[j])
			}
			points[j] = plotter.XY{X: math.Log2(l.X[j]), Y: l.Y[j]}
			if !seen[l.X[j]] {
				seen[l.X[j]] = true
				ticks = append(ticks, plot.Tick{Value: points[j].X, Label: strconv.FormatFloat(l.X[j], 'g', -1, 64)})
			}
			if l.Low != nil {
				p.Add(upright{points[j].X, l.Low[j], l.High[j], i})
			}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return Picture{}, fmt.Errorf("%w: %q: %w", ErrInput, l.Name, err)
		}
		line.Color, line.Width = colour(i), vg.Points(1.5)
		dots.Color, dots.Shape, dots.Radius = colour(i), shapes[i%len(shapes)], vg.Points(2.5)
		p.Add(line, dots)
		p.Legend.Add(l.Name, line, dots)
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Legend.Top, p.Legend.Left = false, false // curves rise to the right: room is below
	return Picture{p, height}, nil
}

var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.TriangleGlyph{}, draw.RingGlyph{},
	draw.PyramidGlyph{}, draw.CrossGlyph{}}

// upright is an interval of a curve's point.
type upright struct {
	at, low, high float64
	of            int
}

func (u upright) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	c.StrokeLine2(draw.LineStyle{Color: colour(u.of), Width: vg.Points(0.6)}, x(u.at), y(u.low), x(u.at), y(u.high))
}

func (u upright) DataRange() (xmin, xmax, ymin, ymax float64) { return u.at, u.at, u.low, u.high }
