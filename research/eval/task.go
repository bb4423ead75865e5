package eval

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Task is one of GLUE's: all its examples are one profile's.
type Task struct {
	Name    string   // as the folder is called: CoLA, MRPC, …
	Labels  []string // sorted; none for a regression
	Metrics []string // the task's own, the first decides
	Train   []TaskRow
	Dev     []TaskRow
	Digest  string // of both files, as they are stored
}

// TaskRow is one example. Target is a regression's.
type TaskRow struct {
	Example
	Target float32
}

// layout says where a task's files have what: by the names of the header's columns or, without a
// header, by their numbers from 0.
type layout struct {
	text, pair, label string
	bare              bool // no header
	regression        bool
	dev               string // file, if it is not dev.tsv
	metrics           []string
}

var accuracy = []string{"accuracy"}

// layouts of GLUE's nine tasks, by their folders' names in lower case.
var layouts = map[string]layout{
	"cola":  {text: "3", label: "1", bare: true, metrics: []string{"mcc"}},
	"sst-2": {text: "sentence", label: "label", metrics: accuracy},
	"mrpc":  {text: "#1 String", pair: "#2 String", label: "Quality", metrics: []string{"accuracy", "f1"}},
	"sts-b": {text: "sentence1", pair: "sentence2", label: "score", regression: true,
		metrics: []string{"pearson", "spearman"}},
	"qqp":  {text: "question1", pair: "question2", label: "is_duplicate", metrics: []string{"accuracy", "f1"}},
	"mnli": {text: "sentence1", pair: "sentence2", label: "gold_label", dev: "dev_matched.tsv", metrics: accuracy},
	"qnli": {text: "question", pair: "sentence", label: "label", metrics: accuracy},
	"rte":  {text: "sentence1", pair: "sentence2", label: "label", metrics: accuracy},
	"wnli": {text: "sentence1", pair: "sentence2", label: "label", metrics: accuracy},
}

// ReadTask reads a folder of GLUE, train.tsv and dev.tsv, plain or gzipped (.gz). The folder's name
// says which task it is. Rows with too few columns are an error; fields are not unquoted.
func ReadTask(dir string) (*Task, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &Task{Name: filepath.Base(dir)}
	l, ok := layouts[strings.ToLower(t.Name)]
	if !ok {
		return nil, fmt.Errorf("%w: %q is no task of GLUE", ErrData, t.Name)
	}
	t.Metrics = l.metrics
	sum := sha256.New()
	if t.Train, err = l.read(filepath.Join(dir, "train.tsv")); err != nil {
		return nil, err
	}
	if t.Dev, err = l.read(filepath.Join(dir, cmp.Or(l.dev, "dev.tsv"))); err != nil {
		return nil, err
	}
	for _, rows := range [][]TaskRow{t.Train, t.Dev} {
		if len(rows) == 0 {
			return nil, fmt.Errorf("%w: %s has an empty part", ErrData, t.Name)
		}
		for _, r := range rows {
			fmt.Fprintf(sum, "%q\n", r.Example)
			if !l.regression && !slices.Contains(t.Labels, r.Label) {
				t.Labels = append(t.Labels, r.Label)
			}
		}
	}
	if len(t.Labels) < 2 && !l.regression {
		return nil, fmt.Errorf("%w: %s has %d labels", ErrData, t.Name, len(t.Labels))
	}
	slices.Sort(t.Labels)
	t.Digest = fmt.Sprintf("%x", sum.Sum(nil)[:8])
	return t, nil
}

// read reads one file's rows.
func (l layout) read(path string) ([]TaskRow, error) {
	raw, used, err := readMaybeGzip(path)
	if err != nil {
		return nil, err
	}
	rows, err := l.rows(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", used, err)
	}
	return rows, nil
}

// readMaybeGzip reads path, or path.gz where that is not.
func readMaybeGzip(path string) (raw []byte, used string, err error) {
	if raw, err = os.ReadFile(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return raw, path, err
	}
	if raw, err = os.ReadFile(path + ".gz"); err != nil {
		return nil, path, err
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(z, maxInput))
	}
	if err != nil {
		return nil, path, fmt.Errorf("%w: %s.gz: %w", ErrData, path, err)
	}
	return raw, path + ".gz", nil
}

// rows parses tab-separated lines.
func (l layout) rows(raw []byte) (out []TaskRow, err error) {
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	sc := bufio.NewScanner(bytes.NewReader(raw))
	sc.Buffer(nil, 1<<20)
	column := map[string]int{}
	for line := 1; sc.Scan(); line++ {
		fields := strings.Split(strings.TrimSuffix(sc.Text(), "\r"), "\t")
		if line == 1 && !l.bare {
			for i, name := range fields {
				column[name] = i
			}
			continue
		}
		get := func(name string) string {
			i, ok := column[name]
			if l.bare {
				i, err = strconv.Atoi(name)
				ok = err == nil
			}
			if !ok || i >= len(fields) {
				err = fmt.Errorf("%w: line %d has no column %q", ErrData, line, name)
				return ""
			}
			return strings.TrimSpace(fields[i])
		}
		r := TaskRow{Example: Example{Text: get(l.text), Label: get(l.label)}}
		if l.pair != "" {
			r.Pair = get(l.pair)
		}
		if err != nil {
			return nil, err
		}
		if r.Text == "" || r.Label == "" {
			return nil, fmt.Errorf("%w: line %d is empty where the text or the label should be", ErrData, line)
		}
		if l.regression {
			v, err := strconv.ParseFloat(r.Label, 32)
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: %q is no number", ErrData, line, r.Label)
			}
			r.Target = float32(v)
		}
		out = append(out, r)
	}
	return out, sc.Err()
}
