package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
)

// TestWindows: where the label is decided in the first window, that window tells it; where it is
// decided later, only the windows do.
func TestWindows(t *testing.T) {
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		t.Skip("no XPEFT_MODEL")
	}
	m, err := OpenMachine(dir, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d := &Data{People: []Person{{ID: "all"}}}
	for label, say := range map[string]string{"sport": "the team won the football match %d to nothing",
		"food": "boil %d potatoes and serve them with butter", "other": "the office has %d chairs and a window"} {
		for i := range 40 {
			d.People[0].Examples = append(d.People[0].Examples, Example{Text: fmt.Sprintf(say, i), Label: label})
		}
	}
	w := &Windows{Machine: m, Most: 4, Data: d, Labels: []string{"food", "sport"}, Filler: []string{"other"}, Pieces: 9,
		Decide: 3, Learn: 24, Asked: 20, Seed: 1}
	rows, err := w.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		first := r.Answered == "the first window"
		if late := r.Accuracy[2]; r.N != 20 || r.Accuracy[0] < 0.9 || first == (late > 0.9) {
			t.Errorf("got %+v", r)
		}
	}
	w.Pieces = 30
	if _, err := w.Run(context.Background()); !errors.Is(err, ErrData) {
		t.Errorf("too few fillers: got %v, want ErrData", err)
	}
}
