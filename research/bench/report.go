package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The parts of a document that are the report's, each between two lines.
const benchPart, peersPart = "bench", peersName

func marks(part string) (begin, end string) {
	return "<!-- " + part + ": begin -->", "<!-- " + part + ": end -->"
}

// report writes what the folder samples holds into the document, the peers into their own part,
// and draws its curves into the folder img beside it. If only names measurements, it leaves out the
// others. A part of which there are no samples stays as it is. Without a document it makes one.
func report(samples, document string, only []string) error {
	results, err := readResults(samples)
	if err != nil {
		return err
	}
	img := filepath.Join(filepath.Dir(document), "img")
	if err := os.MkdirAll(img, 0o755); err != nil {
		return err
	}
	parts := map[string]*bytes.Buffer{benchPart: {}, peersPart: {}}
	for _, r := range results {
		if only != nil && !slices.Contains(only, r.Name) {
			continue
		}
		out := parts[benchPart]
		if r.Name == peersName {
			out = parts[peersPart]
		}
		if err := r.section(out, img); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(document)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte("# Performance\n"), nil
		for _, part := range []string{benchPart, peersPart} {
			begin, end := marks(part)
			text = fmt.Appendf(text, "\n%s\n%s\n", begin, end)
		}
	}
	if err != nil {
		return err
	}
	for part, out := range parts {
		if out.Len() == 0 {
			continue
		}
		if text, err = between(text, part, out.String()); err != nil {
			return fmt.Errorf("%s: %w", document, err)
		}
	}
	return os.WriteFile(document, text, 0o644)
}

// section is a result with its pictures.
func (r *result) section(w io.Writer, img string) error {
	pictures, err := r.draw(img)
	if err != nil {
		return err
	}
	r.markdown(w)
	for _, p := range pictures {
		fmt.Fprintf(w, "![%s](%s)\n\n", r.Name, path.Join("img", p+".png"))
	}
	return nil
}

// between puts new text between a part's marks, and leaves what is outside.
func between(document []byte, part, text string) ([]byte, error) {
	begin, end := marks(part)
	before, rest, ok := strings.Cut(string(document), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return nil, fmt.Errorf("no line %s with %s after it", begin, end)
	}
	return []byte(before + begin + "\n\n" + strings.TrimSpace(text) + "\n\n" + end + after), nil
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
