package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is text in columns of fixed widths; a negative width aligns to the left. fmt's own padding
// counts runes, which here are columns.
type table struct {
	widths []int
	lines  []string
}

func (t *table) row(cells ...any) {
	var b strings.Builder
	for i, c := range cells {
		fmt.Fprintf(&b, "%*s", t.widths[i], fmt.Sprint(c))
	}
	t.lines = append(t.lines, strings.TrimRight(b.String(), " "))
}

// rule is a line as wide as the table.
func (t *table) rule() { t.lines = append(t.lines, "") }

func (t *table) print(w io.Writer) {
	wide := 0
	for _, l := range t.lines {
		wide = max(wide, utf8.RuneCountInString(l))
	}
	for _, l := range t.lines {
		if l == "" {
			l = strings.Repeat("─", wide)
		}
		fmt.Fprintf(w, "  %s\n", l)
	}
}

// wrap breaks a text into lines at its spaces.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// thousands writes 12345 as 12,345.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
