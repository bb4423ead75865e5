package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/research/stats"
)

// TaskCell is a mode in the layout of the paper's Table 2.
type TaskCell struct {
	Mode      string             `json:"mode"`
	Task      string             `json:"task"`
	N         int                `json:"n,omitempty"`
	K         int                `json:"k,omitempty"`
	Soft      bool               `json:"soft,omitempty"`
	OneMask   bool               `json:"one_mask,omitempty"`
	Rows      int                `json:"rows"` // of training
	Seeds     int                `json:"seeds"`
	Metric    string             `json:"metric"`  // the task's first
	Metrics   map[string]float64 `json:"metrics"` // means over the seeds
	Trainable int                `json:"trainable"`
	Bytes     int                `json:"bytes"`   // stored, beside the head
	Seconds   float64            `json:"seconds"` // mean, to learn
}

// TaskReport gathers the runs of tasks, a cell for each mode and task. Runs of profiles are left
// out.
func TaskReport(runs []Run) []TaskCell {
	type key struct{ mode, task string }
	groups := map[key][]Run{}
	var keys []key
	for _, r := range runs {
		if r.Task == profilesTask {
			continue
		}
		k := key{r.Mode, r.Task}
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], r)
	}
	slices.SortFunc(keys, func(a, b key) int {
		x, y := groups[a][0], groups[b][0]
		return cmp.Or(x.N-y.N, cmp.Compare(a.mode, b.mode), cmp.Compare(a.task, b.task))
	})
	var out []TaskCell
	for _, k := range keys {
		g := groups[k]
		c := TaskCell{Mode: k.mode, Task: k.task, N: g[0].N, K: g[0].K, Soft: g[0].Soft, OneMask: g[0].OneMask,
			Rows: g[0].Profiles[0].Train, Seeds: len(g), Trainable: g[0].Trainable, Bytes: g[0].Profiles[0].Bytes,
			Metrics: map[string]float64{}}
		if m := layouts[strings.ToLower(k.task)].metrics; len(m) > 0 {
			c.Metric = m[0]
		}
		for name := range g[0].Profiles[0].Metrics {
			var values []float64
			for _, r := range g {
				values = append(values, r.Profiles[0].Metrics[name])
			}
			c.Metrics[name] = stats.Mean(values)
		}
		for _, r := range g {
			c.Seconds += r.Profiles[0].Seconds / float64(len(g))
		}
		out = append(out, c)
	}
	return out
}

// TaskMarkdown draws the table: a row a mode, a column a task with its own metrics in percent; what
// was not run is said.
func TaskMarkdown(cells []TaskCell) string {
	var modes, tasks []string
	at := map[[2]string]TaskCell{}
	for _, c := range cells {
		if !slices.Contains(modes, c.Mode) {
			modes = append(modes, c.Mode)
		}
		if !slices.Contains(tasks, c.Task) {
			tasks = append(tasks, c.Task)
		}
		at[[2]string{c.Mode, c.Task}] = c
	}
	slices.Sort(tasks)
	var b strings.Builder
	b.WriteString("| mode | trained values | bytes beside the head |")
	for _, t := range tasks {
		fmt.Fprintf(&b, " %s, %s |", t, strings.Join(layouts[strings.ToLower(t)].metrics, " / "))
	}
	b.WriteString(" s |\n|---|---|---|" + strings.Repeat("---|", len(tasks)+1) + "\n")
	for _, m := range modes {
		var row strings.Builder
		trainable, bytes, seconds := 0, 0, 0.0
		for _, t := range tasks {
			c, ok := at[[2]string{m, t}]
			if !ok {
				row.WriteString(" not run |")
				continue
			}
			var values []string
			for _, name := range layouts[strings.ToLower(t)].metrics {
				values = append(values, fmt.Sprintf("%.1f", 100*c.Metrics[name]))
			}
			fmt.Fprintf(&row, " %s |", strings.Join(values, " / "))
			trainable, bytes, seconds = c.Trainable, c.Bytes, seconds+c.Seconds
		}
		fmt.Fprintf(&b, "| %s | %d | %d |%s %.0f |\n", m, trainable, bytes, row.String(), seconds)
	}
	return b.String()
}
