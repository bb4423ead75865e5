package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// print writes v as one line of JSON with --json, else what text writes.
func (a *app) print(v any, text func(w io.Writer)) error {
	if !a.json {
		text(a.stdout) // a bufio.Writer: its error comes back from Flush
		return nil
	}
	return a.encoder().Encode(v)
}

func (a *app) encoder() *json.Encoder {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc
}

// say prints a row.
func (a *app) say(row interface{ text(w io.Writer) }) error { return a.print(row, row.text) }

// table aligns columns, some hundreds of rows at a time, so that a long list needs little memory.
type table struct {
	w    *tabwriter.Writer
	rows int
}

func newTable(w io.Writer, header ...string) *table {
	t := &table{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = plain(c)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
	if t.rows++; t.rows%512 == 0 {
		t.w.Flush()
	}
}

func (t *table) flush() { t.w.Flush() }

// fields prints names and values, a line each.
func fields(w io.Writer, pairs ...string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(t, "%s\t%s\n", pairs[i], plain(pairs[i+1]))
	}
	t.Flush()
}

// plain quotes what could move a terminal's cursor or colour it: ids and labels may come from
// another's bundle.
func plain(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// size is a number of bytes, as people read it.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.3g %s", v, units[i])
}

func date(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
