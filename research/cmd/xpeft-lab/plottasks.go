package main

import (
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/research/eval"
	"github.com/xpeft/xpeft/research/plot"
)

// tasksOf are the cells of tasks, with the values of their first metrics.
func tasksOf(runs []eval.Run) ([]eval.TaskCell, error) {
	cells := eval.TaskReport(runs)
	if len(cells) == 0 {
		return nil, fmt.Errorf("%w: no runs of tasks", eval.ErrData)
	}
	return cells, nil
}

// drawTasks is the paper's Figure 4: every mode on every task.
func drawTasks(runs []eval.Run, _ string) (plot.Picture, error) {
	cells, err := tasksOf(runs)
	if err != nil {
		return plot.Picture{}, err
	}
	slices.SortStableFunc(cells, func(a, b eval.TaskCell) int {
		switch {
		case a.Task < b.Task:
			return -1
		case a.Task > b.Task:
			return 1
		}
		return 0
	})
	var bars []plot.Bar
	for _, c := range cells {
		bars = append(bars, taskBar(c, c.Task+": "+c.Mode))
	}
	return plot.Bars("Tasks of GLUE", "accuracy, MCC or correlation on the dev rows", bars)
}

func taskBar(c eval.TaskCell, name string) plot.Bar {
	v := c.Metrics[c.Metric]
	return plot.Bar{Name: name, Mean: v, Low: v, High: v, Mark: c.N > 0}
}

// drawSizes is Figure 5a: the bank's size, soft and hard.
func drawSizes(runs []eval.Run, _ string) (plot.Picture, error) {
	return drawLines(runs, "Bank size", "adapters in the bank, N", func(c eval.TaskCell) (string, float64, bool) {
		kind := "hard"
		if c.Soft {
			kind = "soft"
		}
		return c.Task + ", " + kind, float64(c.N), !c.OneMask
	})
}

// drawK is Figure 5c: how many adapters a mask chooses.
func drawK(runs []eval.Run, _ string) (plot.Picture, error) {
	return drawLines(runs, "Adapters chosen", "adapters that a hard mask chooses, k",
		func(c eval.TaskCell) (string, float64, bool) {
			return fmt.Sprintf("%s, N=%d", c.Task, c.N), float64(c.K), !c.Soft && !c.OneMask
		})
}

// drawLines draws the cells of masks that where accepts, on the line and at the x that it names.
func drawLines(runs []eval.Run, title, x string,
	where func(eval.TaskCell) (line string, at float64, ok bool)) (plot.Picture, error) {
	cells, err := tasksOf(runs)
	if err != nil {
		return plot.Picture{}, err
	}
	type point struct{ x, y float64 }
	points := map[string][]point{}
	for _, c := range cells {
		if name, at, ok := where(c); ok && c.N > 0 {
			points[name] = append(points[name], point{at, c.Metrics[c.Metric]})
		}
	}
	var names []string
	for n := range points {
		names = append(names, n)
	}
	slices.Sort(names)
	var lines []plot.Line
	for _, n := range names {
		l := plot.Line{Name: n}
		slices.SortFunc(points[n], func(a, b point) int { return int(a.x - b.x) })
		for _, p := range points[n] {
			l.X, l.Y = append(l.X, p.x), append(l.Y, p.y)
		}
		lines = append(lines, l)
	}
	return plot.Lines(title, x, "the task's metric", lines)
}

// drawOneMask is Figure 5b: one mask for both sides against two.
func drawOneMask(runs []eval.Run, _ string) (plot.Picture, error) {
	cells, err := tasksOf(runs)
	if err != nil {
		return plot.Picture{}, err
	}
	var bars []plot.Bar
	for _, c := range cells {
		if c.N == 0 || c.Soft {
			continue
		}
		kind := "two masks"
		if c.OneMask {
			kind = "one mask"
		}
		b := taskBar(c, fmt.Sprintf("%s, N=%d, k=%d, %s", c.Task, c.N, c.K, kind))
		b.Mark = !c.OneMask
		bars = append(bars, b)
	}
	slices.SortFunc(bars, func(a, b plot.Bar) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return plot.Bars("One mask for both sides, or two", "the task's metric on the dev rows", bars)
}
