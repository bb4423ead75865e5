package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExponent(t *testing.T) {
	x := []float64{1, 2, 4, 8, 16, 64}
	for _, p := range []float64{-1, 0, 0.5, 1, 1.5} {
		y := make([]float64, len(x))
		for i := range x {
			y[i] = 3 * math.Pow(x[i], p)
		}
		if got, ok := exponent(x, y); !ok || math.Abs(got-p) > 1e-9 {
			t.Errorf("y = 3·x^%g: got %g, %v", p, got, ok)
		}
	}
	// Least squares by hand: of (0, 0), (1, 2), (2, 2) in logarithms of base 2 the slope is 1.
	if got, ok := exponent([]float64{1, 2, 4}, []float64{1, 4, 4}); !ok || math.Abs(got-1) > 1e-9 {
		t.Errorf("off the line: got %g, %v, want 1", got, ok)
	}
	for name, xy := range map[string][2][]float64{
		"one place":            {{3}, {1}},
		"the same place twice": {{3, 3}, {1, 2}},
		"no places":            {{}, {}},
		"a value of 0":         {{1, 2}, {0, 1}},
		"a place of 0":         {{0, 2}, {1, 1}},
	} {
		if got, ok := exponent(xy[0], xy[1]); ok {
			t.Errorf("%s: got %g, want none", name, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		bound string
		value float64
		want  string
	}{
		{"≥ 1.5", 1.5, "met"}, {"≥ 1.5", 1.49, "**not met**"}, {"≤ 1.05", 1.05, "met"}, {"≤ 1.05", 1.06, "**not met**"},
		{"≥ 1.5", math.NaN(), "**not met**"}, {"", 2, ""}, {"about 2", 2, ""},
	} {
		if got := (ratio{Bound: c.bound, Value: c.value}).verdict(); got != c.want {
			t.Errorf("%g, promised %q: got %q, want %q", c.value, c.bound, got, c.want)
		}
	}
}

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.01234: "0.0123", 9.876: "9.88", 123.4: "123", 1000: "1,000",
		1234567: "1,234,567", -2000: "-2,000", 123456: "123,456"} {
		if got := figure(x); got != want {
			t.Errorf("%g: got %q, want %q", x, got, want)
		}
	}
}

// sample is a result with everything in it: two things that are compared, and one along a curve.
func sample() result {
	r := result{Name: "predict", What: "one thing beside another", X: "profiles", Notes: []string{"a note"}}
	for i := range 5 {
		r.add("ours", "ms", 0, float64(10+i))
		r.add("theirs", "ms", 0, float64(20+2*i))
		for _, at := range []float64{1, 10, 100} {
			r.add("time", "ms", at, at*at*2)
		}
	}
	r.compare("ours over theirs", "ours", "theirs", "≤ 0.4")
	return r
}

func TestMarkdown(t *testing.T) {
	r := sample()
	r.machine, r.Command = machine{Go: "go1", CPU: "a processor", CPUs: 2, Others: 0.25}, "bin/bench"
	var out bytes.Buffer
	r.markdown(&out)
	for _, want := range []string{
		"`bin/bench`, go1, 2 × a processor; **not quiet: other programs took 25 % of the cores' time**.",
		"| ours over theirs | 0.500 | 0.500 to 0.500 | ≤ 0.4 | **not met** |",
		"| ours | 12 | 11 to 13 | ms | 5 |",
		"| profiles | time, ms |\n|---|---|\n| 1 | 2 |\n| 10 | 200 |\n| 100 | 20,000 |\n| **fitted exponent** | " +
			"**2.00** |",
		"* a note",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant in it %q", out.String(), want)
		}
	}
}

// TestReport writes samples, then the document twice: what is outside the marks stays, what is
// between them is replaced.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	if err := r.save(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	doc := filepath.Join(dir, "docs", "performance.md")
	if err := os.Mkdir(filepath.Dir(doc), 0o755); err != nil {
		t.Fatal(err)
	}
	reportBegin, reportEnd := marks(benchPart)
	if err := os.WriteFile(doc, []byte("before\n"+reportBegin+"\nold\n"+reportEnd+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var first string
	for range 2 {
		if err := report(filepath.Join(dir, "out"), doc, nil); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		got := string(raw)
		if !strings.HasPrefix(got, "before\n"+reportBegin) || !strings.HasSuffix(got, reportEnd+"\nafter\n") ||
			strings.Contains(got, "old") || strings.Count(got, "### predict") != 1 {
			t.Errorf("got\n%s", got)
		}
		if first == "" {
			first = got
		} else if got != first {
			t.Errorf("the second time: got\n%s\nwant\n%s", got, first)
		}
	}
	if !strings.Contains(first, "(img/bench-predict.png)") {
		t.Errorf("no picture in\n%s", first)
	}
	for _, end := range []string{".png", ".svg"} {
		if info, err := os.Stat(filepath.Join(dir, "docs/img/bench-predict"+end)); err != nil || info.Size() < 1000 {
			t.Errorf("the picture %s: %v, %v", end, info, err)
		}
	}
}

func TestReportRefuses(t *testing.T) {
	dir := t.TempDir()
	doc := filepath.Join(dir, "performance.md")
	if err := report(dir, doc, nil); err == nil {
		t.Error("no samples: got no error")
	}
	r := sample()
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(doc, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := report(dir, doc, nil); err == nil {
		t.Error("no marks: got no error")
	}
	if raw, err := os.ReadFile(doc); err != nil || string(raw) != "no marks" {
		t.Errorf("the document: got %q, %v, want it as it was", raw, err)
	}
}

func TestBusyTime(t *testing.T) {
	stat := "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
	if got, ok := busyTime(stat); !ok || got != 1710*time.Millisecond {
		t.Errorf("got %v, %v, want 1.71s", got, ok)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "cpu 1 2 3 4 5 6 7 x", "intr 1 2 3 4 5 6 7 8"} {
		if got, ok := busyTime(bad); ok {
			t.Errorf("%q: got %v, want none", bad, got)
		}
	}
}

func TestCPUField(t *testing.T) {
	info := "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: another\n"
	if got := cpuField(info, "model name", "amd64"); got != "AMD EPYC" {
		t.Errorf("got %q", got)
	}
	if got := cpuField("", "model name", "amd64"); got != "amd64" {
		t.Errorf("of nothing: got %q", got)
	}
}
