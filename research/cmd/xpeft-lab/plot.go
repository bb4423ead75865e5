package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
	"github.com/xpeft/xpeft/research/plot"
)

// plotKinds are what can be drawn, and of which files.
var plotKinds = map[string]struct {
	about string
	draw  func(paths []string, mode string) (plot.Picture, error)
}{
	"bars":    {"accuracy of each mode, with intervals", ofRuns(drawBars)},
	"curves":  {"accuracy against training texts a person, a line a mode", ofRuns(drawCurves)},
	"seeds":   {"accuracy of the mode in each split and seed", ofRuns(drawSeeds)},
	"tsne":    {"t-SNE of the mode's masks, coloured by each person's most frequent label", ofRuns(drawTSNE)},
	"heatmap": {"the mode's two most distant masks", ofRuns(drawHeatmap)},
	"tasks":   {"every mode on every task of GLUE", ofRuns(drawTasks)},
	"sizes":   {"tasks of GLUE against the bank's size, soft and hard masks", ofRuns(drawSizes)},
	"k":       {"tasks of GLUE against the adapters that a mask chooses", ofRuns(drawK)},
	"masks":   {"tasks of GLUE with one mask for both sides, and with two", ofRuns(drawOneMask)},
	"people":  {"learning curves of the rows of eval people --json", drawPeople},
	"places": {"codes of the people of eval people --places, coloured by what they say to texts kept back",
		ofPlaces(drawPlaces)},
	"bits":    {"the bits of their codes", ofPlaces(drawBits)},
	"answers": {"how answers to texts kept back follow from codes", ofPlaces(drawAnswers)},
	"memory":  {"memory of examples/chatbot under load, from the CSV file of make load", drawMemory},
}

// ofRuns makes a kind of picture of a function that draws run files.
func ofRuns(draw func([]eval.Run, string) (plot.Picture, error)) func([]string, string) (plot.Picture, error) {
	return func(paths []string, mode string) (plot.Picture, error) {
		runs, err := eval.ReadRuns(paths...)
		if err != nil {
			return plot.Picture{}, err
		}
		return draw(runs, mode)
	}
}

func (a *app) plotCommand() *cobra.Command {
	var out, mode string
	var kinds []string
	for k, d := range plotKinds {
		kinds = append(kinds, fmt.Sprintf("  %-8s %s", k, d.about))
	}
	slices.Sort(kinds)
	cmd := &cobra.Command{
		Use:   "plot KIND FILE…",
		Short: "Draw an evaluation, or a run under load",
		Long: "Draw a picture of run files, of folders of them, or of a CSV file. KIND is one of\n\n" +
			strings.Join(kinds, "\n"),
		Example: "  xpeft-lab plot bars out/eval -o bars.png\n  xpeft-lab plot memory out/load/memory.csv -o " +
			"memory.png",
		Args: cobra.MinimumNArgs(2),
		ValidArgs: []string{"answers", "bars", "bits", "curves", "heatmap", "k", "masks", "memory", "people",
			"places", "seeds", "sizes", "tasks", "tsne"},
		RunE: a.runs(func(_ context.Context, args []string) error {
			d, ok := plotKinds[args[0]]
			if !ok {
				return usagef("no kind of picture %q", args[0])
			}
			picture, err := d.draw(args[1:], mode)
			if err != nil {
				return err
			}
			return a.savePicture(picture, out)
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "", "file to write, .png or .svg; both without either")
	f.StringVar(&mode, "mode", "x_peft", "mode that is drawn, or that stands out")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // no such flag: the program is wrong
	}
	return cmd
}

// drawn is a picture that was written.
type drawn struct {
	File string `json:"file"`
}

func (a *app) savePicture(p plot.Picture, out string) error {
	files := []string{out}
	if filepath.Ext(out) == "" {
		files = []string{out + ".png", out + ".svg"}
	}
	for _, f := range files {
		if err := p.Save(f); err != nil {
			return err
		}
		if err := a.printDrawn(f); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printDrawn(file string) error {
	if a.json {
		return a.printJSON(drawn{file})
	}
	_, err := fmt.Fprintln(a.stdout, file)
	return err
}

func drawBars(runs []eval.Run, mode string) (plot.Picture, error) {
	rows, err := eval.Report(slices.DeleteFunc(runs, func(r eval.Run) bool { return r.Shots > 0 }), mode)
	if err != nil {
		return plot.Picture{}, err
	}
	var bars []plot.Bar
	for _, r := range rows {
		bars = append(bars, plot.Bar{Name: r.Mode, Mean: r.Accuracy.Mean, Low: r.Accuracy.Low, High: r.Accuracy.High,
			Mark: r.Mode == mode})
	}
	return plot.Bars("New people: mean accuracy", "accuracy, with 95 % intervals over people", bars)
}

func drawCurves(runs []eval.Run, mode string) (plot.Picture, error) {
	rows, err := eval.Report(slices.DeleteFunc(runs, func(r eval.Run) bool { return r.Shots == 0 }), mode)
	if err != nil {
		return plot.Picture{}, err
	}
	at := map[string]int{}
	var lines []plot.Line
	for _, r := range rows { // by shots
		i, ok := at[r.Mode]
		if !ok {
			i = len(lines)
			at[r.Mode] = i
			lines = append(lines, plot.Line{Name: r.Mode})
		}
		l := &lines[i]
		l.X, l.Y = append(l.X, float64(r.Shots)), append(l.Y, r.Accuracy.Mean)
	}
	return plot.Lines("Accuracy against examples", "most training texts a person", "mean accuracy over people", lines)
}

func drawSeeds(runs []eval.Run, mode string) (plot.Picture, error) {
	var bars []plot.Bar
	for _, r := range runs {
		if r.Mode != mode || r.Shots != 0 {
			continue
		}
		sum := 0.0
		for _, p := range r.Profiles {
			sum += p.Metrics["accuracy"] / float64(len(r.Profiles))
		}
		bars = append(bars, plot.Bar{Name: fmt.Sprintf("split %d, seed %d", r.Split, r.Seed), Mean: sum, Low: sum,
			High: sum, Mark: true})
	}
	return plot.Bars("Accuracy of "+mode+" in each split and seed", "mean accuracy over people", bars)
}
