// Command gpu measures what a GPU is for beside the CPU of the same machine, in one run: one Learn
// of 60 texts, LearnMany of 256 profiles beside one by one, TrainBank, and PredictBatch of 64 and
// of 1,024 rows of 64 profiles. It prints a JSON line for each figure. scripts/gpukit/run.sh runs
// it; docs/gpu.md has the table.
//
//	gpu -model FOLDER [-devices cuda,cpu] [-texts FILE]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/xpeft/xpeft/sdk"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gpu:", err)
		os.Exit(1)
	}
}

func run() error {
	folder := flag.String("model", os.Getenv("XPEFT_MODEL"), "the encoder's folder")
	devices := flag.String("devices", "cuda,cpu",
		"what to measure on, in this order; a device that is not here is left out")
	texts := flag.String("texts", "",
		"where to write the texts, a JSON line each, for other programs to be measured on")
	small := flag.Bool("small", false, "a sixteenth of the work: whether everything runs, no figures")
	flag.Parse()
	all, err := madeUp(*folder, 4096)
	if err != nil {
		return err
	}
	if *texts != "" {
		if err := save(*texts, all); err != nil {
			return err
		}
	}
	for _, device := range strings.Split(*devices, ",") {
		m := &measurement{model: *folder, device: device, texts: all, small: *small}
		switch err := m.run(context.Background()); {
		case errors.Is(err, sdk.ErrNoCUDA):
			fmt.Fprintf(os.Stderr, "gpu: %s: %v\n", device, err)
		case err != nil:
			return fmt.Errorf("%s: %w", device, err)
		}
	}
	return nil
}

// madeUp are texts of 8 to 48 words of the model's vocabulary: speed does not depend on what they
// say. The same every time.
func madeUp(folder string, n int) ([]string, error) {
	file, err := os.Open(filepath.Join(folder, "vocab.txt"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var words []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if w := lines.Text(); len(w) > 3 && strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") == "" {
			words = append(words, w)
		}
	}
	if len(words) < 1000 {
		return nil, fmt.Errorf("%d whole words in vocab.txt, want 1,000 or more", len(words))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, n)
	for i := range texts {
		line := make([]string, 8+rng.IntN(41))
		for k := range line {
			line[k] = words[rng.IntN(len(words))]
		}
		texts[i] = strings.Join(line, " ")
	}
	return texts, nil
}

func save(path string, texts []string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	enc := json.NewEncoder(file)
	for _, t := range texts {
		if err := enc.Encode(map[string]string{"text": t}); err != nil {
			return err
		}
	}
	return file.Close()
}

// figure is a line of output.
type figure struct {
	What    string  `json:"what"`
	Device  string  `json:"device"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Cores   int     `json:"cores"`
	Details string  `json:"details,omitempty"`
}

func (m *measurement) say(what, unit string, value float64, details string) {
	line, _ := json.Marshal(figure{what, m.used, value, unit, runtime.NumCPU(), details}) // it always encodes
	fmt.Println(string(line))
}
