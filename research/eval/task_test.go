package eval

import (
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// taskFiles writes a task's folder; train is gzipped.
func taskFiles(t *testing.T, name, train, dev string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "train.tsv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(train)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "dev.tsv"), dev)
	return dir
}

func TestReadTask(t *testing.T) {
	for name, c := range map[string]struct {
		train, dev string
		first      TaskRow
		labels     []string
	}{
		"CoLA": {"gj04\t1\t\tThe boy \"ran.\ngj04\t0\t*\tBoy the ran.\n", "x\t1\t\tIt rained.\r\n",
			TaskRow{Example: Example{Text: "The boy \"ran.", Label: "1"}}, []string{"0", "1"}},
		"SST-2": {"sentence\tlabel\ngood \t1\nbad \t0\n", "sentence\tlabel\nfine \t1\n",
			TaskRow{Example: Example{Text: "good", Label: "1"}}, []string{"0", "1"}},
		"MRPC": {"\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta b\tb \" a\n0\t1\t2\tc\td\n",
			"\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\te\tf\n",
			TaskRow{Example: Example{Text: "a b", Pair: "b \" a", Label: "1"}}, []string{"0", "1"}},
		"STS-B": {"index\tsentence1\tsentence2\tscore\n0\ta\tb\t2.5\n", "sentence1\tsentence2\tscore\na\tb\t5\n",
			TaskRow{Example{"a", "b", "2.5"}, 2.5}, nil},
	} {
		got, err := ReadTask(taskFiles(t, name, c.train, c.dev))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Name != name || got.Train[0] != c.first || !slices.Equal(got.Labels, c.labels) || len(got.Dev) != 1 ||
			len(got.Digest) != 16 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestReadTaskFaults(t *testing.T) {
	good := "sentence\tlabel\ngood\t1\nbad\t0\n"
	for what, dir := range map[string]string{
		"line 2":  taskFiles(t, "SST-2", "sentence\tlabel\nno label\n", good),
		"\"label": taskFiles(t, "SST-2", "sentence\tsentiment\ngood\t1\n", good),
		"empty":   taskFiles(t, "SST-2", good, "sentence\tlabel\n"),
		"1 label": taskFiles(t, "SST-2", "sentence\tlabel\ngood\t1\n", "sentence\tlabel\ngood\t1\n"),
		"number":  taskFiles(t, "STS-B", "sentence1\tsentence2\tscore\na\tb\tmuch\n", good),
		"no task": taskFiles(t, "Poems", good, good),
	} {
		if _, err := ReadTask(dir); !errors.Is(err, ErrData) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := ReadTask(filepath.Join(t.TempDir(), "RTE")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v", err)
	}
}

func TestTaskTable(t *testing.T) {
	of := func(task, mode string, n, seed int, acc float64) Run {
		return Run{Format: 1, Task: task, Mode: mode, N: n, Seed: seed, Trainable: 7,
			Profiles: []Profile{{Train: 10, Bytes: 5, Seconds: 2,
				Metrics: map[string]float64{"accuracy": acc, "f1": acc, "mcc": acc / 2}}}}
	}
	cells := TaskReport([]Run{of("MRPC", "x_peft", 100, 0, 0.8), of("MRPC", "x_peft", 100, 1, 0.9),
		of("CoLA", "head_only", 0, 0, 0.5), runOf("x_peft", 0, 0, 1)})
	if len(cells) != 2 || cells[0].Mode != "head_only" || cells[1].Seeds != 2 ||
		!close(cells[1].Metrics["accuracy"], 0.85) {
		t.Fatalf("got %+v", cells)
	}
	table := TaskMarkdown(cells)
	for _, want := range []string{"| CoLA, mcc | MRPC, accuracy / f1 |", "| head_only | 7 | 5 | 25.0 | not run | 2 |",
		"| x_peft | 7 | 5 | not run | 85.0 / 85.0 | 2 |"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}
