package main

import (
	"fmt"
	"io"
	"strings"
)

// rivalNames are those that have batches, in the order in which they came.
func rivalNames(r *result) (names []string) {
	for _, s := range r.Series {
		if name, ok := strings.CutSuffix(s.Name, inBatches); ok {
			names = append(names, name)
		}
	}
	return names
}

// peersTable has a row a rival. Answers are compared with those of the first rival that has any.
func (r *result) peersTable(w io.Writer) {
	fmt.Fprintf(w, "| | texts/s%s | quartiles | one text: p50, ms | p99, ms | ", inBatches)
	fmt.Fprintln(w, "answers changed | right answers |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	first := -1.0
	for _, name := range rivalNames(r) {
		batches, single := r.samples(name+inBatches), r.samples(name+alone)
		fmt.Fprintf(w, "| %s | %s | %s to %s | %s | %s |", name, figure(quantile(batches, 0.5)),
			figure(quantile(batches, 0.25)), figure(quantile(batches, 0.75)),
			figure(quantile(single, 0.5)), figure(quantile(single, 0.99)))
		share := r.samples(name + right)
		if len(share) == 0 {
			fmt.Fprint(w, " | |\n")
			continue
		}
		if first < 0 {
			first = share[0]
			fmt.Fprintf(w, " | %.1f %% |\n", first)
			continue
		}
		fmt.Fprintf(w, " %.1f %% | %.1f %% (%+.1f) |\n",
			quantile(r.samples(name+changed), 0.5), share[0], share[0]-first)
	}
	fmt.Fprintln(w)
}
