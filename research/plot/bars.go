package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bar is a value with its interval.
type Bar struct {
	Name            string
	Mean, Low, High float64
	Mark            bool // drawn in the first colour; others are grey
}

// Bars lie, so that long names can be read; the first is on top.
func Bars(title, unit string, bars []Bar) (Picture, error) {
	if len(bars) == 0 {
		return Picture{}, fmt.Errorf("%w: no bars", ErrInput)
	}
	p := page(title, unit, "")
	least, most := math.Inf(1), math.Inf(-1)
	names := make([]string, len(bars))
	for i, b := range bars {
		at := len(bars) - 1 - i
		names[at] = "  " + b.Name // the widest would touch the page's edge
		least, most = math.Min(least, b.Low), math.Max(most, b.High)
		c := grey
		if b.Mark {
			c = colour(0)
		}
		bar, err := plotter.NewBarChart(plotter.Values{b.Mean}, vg.Points(9))
		if err != nil {
			return Picture{}, fmt.Errorf("%w: %s: %w", ErrInput, b.Name, err)
		}
		bar.Horizontal, bar.XMin, bar.Color, bar.LineStyle.Width = true, float64(at), c, 0
		p.Add(bar, interval{b.Low, b.High, float64(at)})
	}
	p.NominalY(names...)
	// Bars that start at 0 hide what differs: the axis says where it starts.
	p.X.Min = math.Max(0, math.Floor((least-0.05)*20)/20)
	p.X.Max = most + 0.02*(most-p.X.Min)
	return Picture{p, vg.Points(float64(60 + 17*len(bars)))}, nil
}

// interval is a thin line across a bar's end.
type interval struct{ low, high, at float64 }

func (i interval) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: color.Black, Width: vg.Points(0.8)}
	c.StrokeLine2(style, x(i.low), y(i.at), x(i.high), y(i.at))
	for _, end := range []float64{i.low, i.high} {
		c.StrokeLine2(style, x(end), y(i.at)-vg.Points(2.5), x(end), y(i.at)+vg.Points(2.5))
	}
}

func (i interval) DataRange() (xmin, xmax, ymin, ymax float64) { return i.low, i.high, i.at, i.at }
