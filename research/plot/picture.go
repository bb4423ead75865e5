package plot

import (
	"errors"
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ErrInput is what cannot be drawn.
var ErrInput = errors.New("plot: bad input")

// Okabe and Ito's colours, black last; grey is for the rest.
var (
	palette = []color.RGBA{{0, 114, 178, 255}, {230, 159, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255},
		{86, 180, 233, 255}, {213, 94, 0, 255}, {240, 228, 66, 255}, {0, 0, 0, 255}}
	grey = color.RGBA{170, 170, 170, 255}
)

func colour(i int) color.RGBA { return palette[i%len(palette)] }

// Page width and the usual height.
const (
	width  = 16 * vg.Centimeter
	height = 10 * vg.Centimeter
)

// Picture is ready to be saved.
type Picture struct {
	p      *plot.Plot
	height vg.Length
}

// Save writes it; the name's end, .png or .svg, says as what.
func (pic Picture) Save(path string) error {
	switch ext := filepath.Ext(path); ext {
	case ".png", ".svg":
		return pic.p.Save(width, pic.height, path)
	default:
		return fmt.Errorf("%w: a picture as %q; want .png or .svg", ErrInput, ext)
	}
}

// page is an empty plot in the house's look.
func page(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size, p.X.Label.TextStyle.Font.Size, p.Y.Label.TextStyle.Font.Size = 11, 10, 10
	for _, f := range []*font.Font{&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Size = 9
	}
	p.Title.Padding = vg.Points(8)
	p.Legend.Top = true
	p.Legend.Padding = 2
	return p
}

func grid(p *plot.Plot) {
	g := plotter.NewGrid()
	line := draw.LineStyle{Color: color.RGBA{225, 225, 225, 255}, Width: vg.Points(0.5)}
	g.Horizontal, g.Vertical = line, draw.LineStyle{}
	p.Add(g)
}
