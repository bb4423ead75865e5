package eval

import (
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
)

func people(n int) (all []Person) {
	for i := range n {
		p := Person{ID: fmt.Sprint("p", i)}
		for j := range 10 + i%5 {
			p.Examples = append(p.Examples,
				Example{Text: fmt.Sprintf("text %d of %d", j, i), Label: fmt.Sprint("l", j%3)})
		}
		all = append(all, p)
	}
	return all
}

// TestSplit: development people are never new, nobody is on both sides, and half of all are new.
func TestSplit(t *testing.T) {
	all := people(40)
	dev, _ := development(all)
	seen := map[int]bool{}
	for split := range 4 {
		bank, fresh := Split(all, split)
		if len(bank)+len(fresh) != 40 || len(fresh) != 20 {
			t.Fatalf("split %d: got %d and %d people", split, len(bank), len(fresh))
		}
		for _, i := range fresh {
			seen[i] = true
			if slices.Contains(dev, i) || slices.Contains(bank, i) {
				t.Errorf("split %d: person %d is new and a development or bank person", split, i)
			}
		}
		if again, _ := Split(all, split); !slices.Equal(again, bank) {
			t.Errorf("split %d differs the second time", split)
		}
	}
	if len(seen) <= 20 {
		t.Error("all splits are the same")
	}
	var new []int
	for f := range folds {
		bank, fresh := Fold(all, f)
		new = append(new, fresh...)
		for _, i := range slices.Concat(bank, fresh) {
			if !slices.Contains(dev, i) {
				t.Errorf("fold %d has person %d, who is no development person", f, i)
			}
		}
	}
	slices.Sort(new)
	slices.Sort(dev)
	if !slices.Equal(new, dev) {
		t.Error("not every development person is new in one fold")
	}
}

func TestCut(t *testing.T) {
	p := people(5)[4] // 14 texts
	train, test := Cut(p, 1, 12)
	if len(train) != 8 || len(test) != 4 {
		t.Fatalf("got %d and %d texts, want 8 and 4", len(train), len(test))
	}
	for _, e := range test {
		if slices.Contains(train, e) {
			t.Errorf("text %d is on both sides", e)
		}
	}
	other, _ := Cut(p, 2, 12)
	if slices.Equal(train, other) {
		t.Error("another seed gave the same texts")
	}
	if a, b := Cut(Person{ID: "x", Examples: p.Examples[:2]}, 1, 60); len(a) != 1 || len(b) != 1 {
		t.Errorf("of two texts %d and %d", len(a), len(b))
	}
}

func TestReadData(t *testing.T) {
	var lines strings.Builder
	for _, p := range people(7) {
		for _, e := range p.Examples {
			fmt.Fprintf(&lines, "{\"who\": %q, \"text\": %q, \"kind\": %q, \"n\": 7}\n", p.ID, e.Text, e.Label)
		}
	}
	fmt.Fprintln(&lines, `{"who": "few", "text": "only one", "kind": "rare"}`)
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "a.jsonl.gz")
	write(t, plain, lines.String())
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte(lines.String()))
	z.Close()
	f.Close()
	fields := Fields{ID: "who", Text: "text", Label: "kind"}
	for _, path := range []string{plain, packed} {
		d, err := ReadData(path, fields, SplitPeople)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.People) != 7 || !slices.Equal(d.Labels, []string{"l0", "l1", "l2"}) || len(d.Digest) != 16 {
			t.Errorf("%s: got %d people, labels %v, digest %q", path, len(d.People), d.Labels, d.Digest)
		}
	}
	numbers := fields
	numbers.ID = "n" // a number names people too
	if _, err := ReadData(plain, numbers, SplitPeople); !errors.Is(err, ErrData) {
		t.Errorf("one person: got %v, want ErrData", err)
	}
	for name, text := range map[string]string{"no label": `{"who": "a", "text": "b"}`, "no JSON": "who",
		"nothing": ""} {
		bad := filepath.Join(dir, "bad")
		write(t, bad, text)
		if _, err := ReadData(bad, fields, SplitPeople); !errors.Is(err, ErrData) {
			t.Errorf("%s: got %v, want ErrData", name, err)
		}
	}
	write(t, packed, "\x1f\x8bbroken")
	if _, err := ReadData(packed, fields, SplitPeople); !errors.Is(err, ErrData) {
		t.Errorf("a broken archive: got %v, want ErrData", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func runOf(mode string, split, seed int, accuracies ...float64) Run {
	r := Run{Format: runFormat, Data: "d", Task: "profiles", Mode: mode, Split: split, Seed: seed, Setting: "s"}
	for i, a := range accuracies {
		r.Profiles = append(r.Profiles,
			Profile{ID: fmt.Sprint("p", i), Metrics: map[string]float64{"accuracy": a, "macro_f1": a / 2}, Bytes: 100})
	}
	return r
}

func TestReadRuns(t *testing.T) {
	dir := t.TempDir()
	for i, r := range []Run{runOf("b", 0, 0, 1), runOf("a", 1, 0, 1), runOf("a", 0, 1, 1)} {
		if err := writeJSON(filepath.Join(dir, fmt.Sprint(i, ".json")), r); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, tunePrefix+"a.json"), "{}")
	write(t, filepath.Join(dir, "x.json.lock"), "1")
	runs, err := ReadRuns(dir)
	if err != nil || len(runs) != 3 || runs[0].Mode != "a" || runs[0].Split != 0 || runs[2].Mode != "b" {
		t.Fatalf("got %+v (%v)", runs, err)
	}
	write(t, filepath.Join(dir, "bad.json"), `{"format": 9}`)
	if _, err := ReadRuns(dir); !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "bad.json") {
		t.Errorf("got %v, want ErrData that names the file", err)
	}
	if _, err := ReadRuns(t.TempDir()); !errors.Is(err, ErrData) {
		t.Errorf("an empty folder: got %v", err)
	}
	if _, err := ReadRuns(filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v", err)
	}
}

// TestReport: a person counts once, with the mean over the runs that both modes have of them.
func TestReport(t *testing.T) {
	runs := []Run{
		runOf("ours", 0, 0, 0.8, 0.6, 0.9, 0.7, 0.8), runOf("ours", 0, 1, 1.0, 0.6, 0.9, 0.7, 0.8),
		runOf("theirs", 0, 0, 0.7, 0.5, 0.8, 0.6, 0.7),
	}
	rows, err := Report(runs, "ours")
	if err != nil || len(rows) != 2 {
		t.Fatalf("got %+v (%v)", rows, err)
	}
	ours, theirs := rows[0], rows[1]
	if ours.Mode != "ours" || ours.People != 5 || ours.Runs != 2 ||
		!close(ours.Accuracy.Mean, (0.9+0.6+0.9+0.7+0.8)/5) || ours.Bytes != 100 {
		t.Errorf("got %+v", ours)
	}
	// On seed 0, the only one that both have, everyone is 0.1 apart: the fewest of 2⁵ signs that
	// are as far are 2.
	if !close(theirs.Behind.Mean, 0.1) || theirs.P < 0.04 || theirs.P > 0.09 || theirs.Holm != theirs.P {
		t.Errorf("got %+v", theirs)
	}
	if _, err := Report(runs, "nobody"); !errors.Is(err, ErrData) {
		t.Errorf("no reference: got %v", err)
	}
	if table := Markdown(rows, "ours"); strings.Count(table, "\n") != 4 ||
		!strings.Contains(table, "| theirs | s | 5 × 1 | 66.0") {
		t.Errorf("got\n%s", table)
	}
}

func close(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestMaskBits(t *testing.T) {
	m, err := bitmask.New(10, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		m.Row(side, 0).Set(3)
		m.Row(side, 0).Set(9)
	}
	got, err := (&Mask{N: 10, K: 2, Blocks: 1, Rows: m.Bytes()}).Bits()
	if err != nil || !got.Equal(m) {
		t.Errorf("got %v (%v)", got, err)
	}
	if _, err := (&Mask{N: 10, K: 3, Blocks: 1, Rows: m.Bytes()}).Bits(); err == nil {
		t.Error("a mask with a wrong k was taken")
	}
}
