package eval

import (
	"context"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/engine/torch"
	"github.com/xpeft/xpeft/internal/golden"
)

// TestTaskEvaluation learns a small task in every mode over the real model, and does not do it
// twice. Without libtorch a head alone can be learned, and the other modes say what they need.
func TestTaskEvaluation(t *testing.T) {
	m, err := OpenMachine(golden.Model(t), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	lines := "sentence\tlabel\n"
	for range 6 {
		lines += "what a lovely day\t1\nawful, terrible weather\t0\na wonderful film\t1\nthe worst meal ever\t0\n"
	}
	task, err := ReadTask(taskFiles(t, "SST-2", lines, lines))
	if err != nil {
		t.Fatal(err)
	}
	logged, skipped := 0, 0
	e := &TaskEvaluation{Machine: m, Tasks: []*Task{task}, Modes: Table2(5, 10), Out: t.TempDir(), Rows: 16,
		Epochs: 4, Seeds: 1, Log: func(line string) {
			if logged++; strings.Contains(line, "build with -tags torch") {
				skipped++
			}
		}}
	want, without := 4, 0
	if !torch.Built {
		want, without = 1, 3
	}
	for range 2 {
		if err := e.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := ReadRuns(e.Out)
	if err != nil || len(runs) != want || skipped != 2*without || logged != want+skipped {
		t.Fatalf("got %d runs, %d lines of log, %d of them of what is skipped (%v), want %d runs", len(runs), logged,
			skipped, err, want)
	}
	for _, r := range runs {
		p := r.Profiles[0]
		if p.Train != 16 || p.Test != 24 || r.Trainable == 0 || r.Losses[len(r.Losses)-1] >= r.Losses[0] {
			t.Errorf("%s: got %+v, losses %v", r.Mode, p, r.Losses)
		}
		if hard := r.N > 0 && !r.Soft; hard && p.Bytes > 400 {
			t.Errorf("%s: %d bytes", r.Mode, p.Bytes)
		}
	}
}
