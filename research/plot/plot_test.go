package plot

import (
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

func pictures(t *testing.T) map[string]Picture {
	t.Helper()
	all := map[string]Picture{}
	add := func(name string, p Picture, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all[name] = p
	}
	p, err := Bars("bars", "accuracy",
		[]Bar{{"a", 0.8, 0.75, 0.85, true}, {"a much longer name", 0.7, 0.6, 0.8, false}})
	add("bars", p, err)
	p, err = Lines("lines", "texts", "accuracy",
		[]Line{{Name: "a", X: []float64{1, 2, 4}, Y: []float64{0.5, 0.6, 0.7}, Low: []float64{0.4, 0.5, 0.6},
			High: []float64{0.6, 0.7, 0.8}}, {Name: "b", X: []float64{1, 4}, Y: []float64{0.4, 0.6}}})
	add("lines", p, err)
	p, err = Growth("growth", "records", "ms",
		[]Line{{Name: "a", X: []float64{1000, 10000, 1e6}, Y: []float64{0.5, 6, 700}, Low: []float64{0.4, 5, 600},
			High: []float64{0.6, 7, 800}}})
	add("growth", p, err)
	p, err = Growth("flat", "profiles", "ms", []Line{{Name: "a", X: []float64{1, 2}, Y: []float64{0.5, 0.5}}})
	add("flat", p, err)
	p, err = Course("course", "minutes", "MiB",
		[]Line{{Name: "a", X: []float64{0, 1, 2}, Y: []float64{5, 6, 6}},
			{Name: "b", X: []float64{0, 2}, Y: []float64{0, 1}}})
	add("course", p, err)
	p, err = Scatter("scatter", []Group{{"one", [][2]float64{{0, 0}, {1, 1}}, false},
		{"rest", [][2]float64{{2, 0}}, true}, {"none", nil, false}})
	add("scatter", p, err)
	p, err = Points("points", "place", "probability",
		[]Group{{"one", [][2]float64{{0, 0}, {1, 1}}, false}, {"none", nil, false}},
		[]Line{{X: []float64{-1, 1}, Y: []float64{0, 1}}})
	add("points", p.Ticks(map[float64]string{0: "0101"}, 0, 1), err)
	p, err = Heatmap("heatmap", "adapter",
		Cells{Row: []string{"Down", "Up"}, Is: [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}}, Keys: []string{"both", "a", "b"}})
	add("heatmap", p, err)
	return all
}

// TestPictures: each is a PNG that is not blank and an SVG that is XML.
func TestPictures(t *testing.T) {
	dir := t.TempDir()
	for name, p := range pictures(t) {
		path := filepath.Join(dir, name)
		if err := p.Save(path + ".png"); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path + ".png")
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		colours := map[[3]uint32]bool{}
		for x := range img.Bounds().Dx() {
			for y := range img.Bounds().Dy() {
				r, g, b, _ := img.At(x, y).RGBA()
				colours[[3]uint32{r, g, b}] = true
			}
		}
		if img.Bounds().Dx() < 500 || len(colours) < 10 {
			t.Errorf("%s: %v with %d colours", name, img.Bounds(), len(colours))
		}
		if err := p.Save(path + ".svg"); err != nil {
			t.Fatal(err)
		}
		svg, err := os.Open(path + ".svg")
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(svg); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		svg.Close()
		if err := p.Save(path + ".gif"); !errors.Is(err, ErrInput) {
			t.Errorf("a gif: got %v", err)
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, f := range map[string]func() (Picture, error){
		"no bars":  func() (Picture, error) { return Bars("", "", nil) },
		"NaN":      func() (Picture, error) { return Bars("", "", []Bar{{Mean: math.NaN()}}) },
		"no lines": func() (Picture, error) { return Lines("", "", "", nil) },
		"x of 0": func() (Picture,
			error) {
			return Lines("", "", "", []Line{{X: []float64{0}, Y: []float64{1}}})
		},
		"growth of 0": func() (Picture,
			error) {
			return Growth("", "", "", []Line{{X: []float64{1}, Y: []float64{0}}})
		},
		"uneven":    func() (Picture, error) { return Lines("", "", "", []Line{{X: []float64{1}, Y: nil}}) },
		"no course": func() (Picture, error) { return Course("", "", "", nil) },
		"broken off": func() (Picture,
			error) {
			return Course("", "", "", []Line{{X: []float64{1, 2}, Y: []float64{1}}})
		},
		"no points":    func() (Picture, error) { return Scatter("", nil) },
		"no cells":     func() (Picture, error) { return Heatmap("", "", Cells{}) },
		"rows unnamed": func() (Picture, error) { return Heatmap("", "", Cells{Is: [][]int{{1}}}) },
	} {
		if _, err := f(); !errors.Is(err, ErrInput) {
			t.Errorf("%s: got %v, want ErrInput", name, err)
		}
	}
}

// TestTSNE: two clusters stay apart, and the same seed gives the same picture.
func TestTSNE(t *testing.T) {
	const n = 30
	d := make([][]float64, n)
	for i := range d {
		d[i] = make([]float64, n)
		for j := range d[i] {
			switch {
			case i == j:
			case i/15 == j/15:
				d[i][j] = 0.2 + 0.01*float64((i*j)%7)
			default:
				d[i][j] = 1
			}
		}
		for j := range i {
			d[i][j] = d[j][i]
		}
	}
	y := TSNE(d, 10, 500, 3)
	dist := func(a, b [2]float64) float64 { return math.Hypot(a[0]-b[0], a[1]-b[1]) }
	var centre [2][2]float64
	for i := range y {
		centre[i/15][0] += y[i][0] / 15
		centre[i/15][1] += y[i][1] / 15
	}
	for i := range y {
		if own, other := dist(y[i], centre[i/15]), dist(y[i], centre[1-i/15]); !(own < other/2) {
			t.Errorf("point %d lies %g from its own cluster and %g from the other", i, own, other)
		}
	}
	for i, again := range TSNE(d, 10, 500, 3) {
		if again != y[i] {
			t.Fatal("the same seed gave another picture")
		}
	}
}
