package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The part of a document between these lines is the report's.
const (
	reportBegin = "<!-- bench: begin -->"
	reportEnd   = "<!-- bench: end -->"
)

// report writes what the folder samples holds into the document, between its marks, and draws its curves into the folder img beside it. Without a document it makes one.
func report(samples, document string) error {
	results, err := readResults(samples)
	if err != nil {
		return err
	}
	img := filepath.Join(filepath.Dir(document), "img")
	if err := os.MkdirAll(img, 0o755); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range results {
		pictures, err := r.draw(img)
		if err != nil {
			return err
		}
		r.markdown(&out)
		for _, p := range pictures {
			fmt.Fprintf(&out, "![%s](%s)\n\n", r.Name, path.Join("img", p+".png"))
		}
	}
	old, err := os.ReadFile(document)
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte("# Performance\n\n"+reportBegin+"\n"+reportEnd+"\n"), nil
	}
	if err != nil {
		return err
	}
	text, err := between(string(old), out.String())
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	return os.WriteFile(document, []byte(text), 0o644)
}

// between puts new text between the marks, and leaves what is outside.
func between(document, text string) (string, error) {
	before, rest, ok := strings.Cut(document, reportBegin)
	_, after, ended := strings.Cut(rest, reportEnd)
	if !ok || !ended {
		return "", fmt.Errorf("no line %s with %s after it", reportBegin, reportEnd)
	}
	return before + reportBegin + "\n\n" + strings.TrimSpace(text) + "\n\n" + reportEnd + after, nil
}

// readResults reads the samples in the order of measurements, what is not among them last.
func readResults(dir string) ([]result, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no samples; make bench writes them", dir)
	}
	var results []result
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var r result
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		results = append(results, r)
	}
	place := func(r result) int {
		if i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == r.Name }); i >= 0 {
			return i
		}
		return len(measurements)
	}
	slices.SortStableFunc(results, func(a, b result) int { return place(a) - place(b) })
	return results, nil
}
