package plot

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Cells are rows of small categories: 0 is white, i > 0 the i-th colour.
type Cells struct {
	Row  []string // names, the first on top
	Is   [][]int
	Keys []string // names of 1, 2, …, for the legend
}

// Heatmap draws rows of cells under each other.
func Heatmap(title, x string, cells Cells) (Picture, error) {
	if len(cells.Is) == 0 || len(cells.Is) != len(cells.Row) {
		return Picture{}, fmt.Errorf("%w: %d rows with %d names", ErrInput, len(cells.Is), len(cells.Row))
	}
	p := page(title, x, "")
	names := make([]string, len(cells.Row))
	for i, n := range cells.Row {
		names[len(names)-1-i] = n
	}
	p.NominalY(names...)
	p.Add(map2{cells})
	for i, key := range cells.Keys {
		p.Legend.Add(key, swatch{colour(i)})
	}
	p.Y.Max += 1.2 + 0.5*float64(len(cells.Keys)) // the legend's room
	return Picture{p, vg.Points(float64(90 + 16*len(cells.Is) + 8*len(cells.Keys)))}, nil
}

type map2 struct{ Cells }

func (m map2) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, row := range m.Is {
		at := float64(len(m.Is) - 1 - i)
		for j, is := range row {
			if is > 0 {
				corners := []vg.Point{{X: x(float64(j)), Y: y(at - 0.42)}, {X: x(float64(j + 1)), Y: y(at - 0.42)},
					{X: x(float64(j + 1)), Y: y(at + 0.42)}, {X: x(float64(j)), Y: y(at + 0.42)}}
				c.FillPolygon(colour(is-1), corners)
			}
		}
	}
}

func (m map2) DataRange() (xmin, xmax, ymin, ymax float64) {
	return 0, float64(len(m.Is[0])), -0.5, float64(len(m.Is)) - 0.5
}

// swatch is a colour in a legend.
type swatch struct{ c color.Color }

func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.c, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Min.Y}, {X: c.Max.X, Y: c.Max.Y},
		{X: c.Min.X, Y: c.Max.Y}})
}
