package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"strconv"

	"github.com/xpeft/xpeft/research/eval"
	"github.com/xpeft/xpeft/research/plot"
)

// drawMemory draws what the process of examples/chatbot held under load, and of what kind it was,
// from the samples that its load test writes.
func drawMemory(paths []string, _ string) (plot.Picture, error) {
	if len(paths) != 1 {
		return plot.Picture{}, usagef("plot memory takes one CSV file, got %d", len(paths))
	}
	samples, err := readSamples(paths[0])
	if err != nil {
		return plot.Picture{}, fmt.Errorf("%s: %w", paths[0], err)
	}
	var lines []plot.Line
	for _, l := range []struct {
		name string
		of   func(sample) float64
	}{
		{"the process's own, without the cache", func(s sample) float64 { return s["Anonymous"] - s["Cached"] }},
		{"the C library's, with what it keeps for later", func(s sample) float64 { return s["MallocHeld"] }},
		{"of that in use", func(s sample) float64 { return s["MallocUsed"] }},
		{"Go's", func(s sample) float64 { return s["GoHeld"] }},
		{"mapped files", func(s sample) float64 { return s["Files"] }},
	} {
		line := plot.Line{Name: l.name}
		for _, s := range samples {
			line.X, line.Y = append(line.X, s["Minutes"]), append(line.Y, l.of(s))
		}
		lines = append(lines, line)
	}
	title := fmt.Sprintf("Memory of the chatbot under load, %.0f requests", samples[len(samples)-1]["Requests"])
	return plot.Course(title, "minutes", "MiB", lines)
}

// sample holds the numbers of one line of the CSV file by the names of their columns.
type sample map[string]float64

// readSamples reads the columns that are drawn; the others may hold anything.
func readSamples(path string) ([]sample, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%w: want a line of names, then one or more of numbers", eval.ErrData)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var samples []sample
	for _, row := range rows[1:] {
		s := sample{}
		for _, name := range []string{"Minutes", "Requests", "Anonymous", "Cached", "MallocHeld", "MallocUsed",
			"GoHeld", "Files"} {
			at, ok := column[name]
			if !ok {
				return nil, fmt.Errorf("%w: no column %q", eval.ErrData, name)
			}
			if s[name], err = strconv.ParseFloat(row[at], 64); err != nil {
				return nil, fmt.Errorf("%w: column %q: %w", eval.ErrData, name, err)
			}
		}
		samples = append(samples, s)
	}
	return samples, nil
}
