//go:build cgo

// Command bench measures the costs that xpeft promises, each beside its rival in the same run: alternating rounds, medians, ratios.
//
//	make bench
//	make bench-full
//
// It needs XPEFT_MODEL. Texts are the headlines in testdata/golden. The raw samples are written as JSON into the folder out.
package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// env is what every measurement gets.
type env struct {
	model  string   // the checkpoint's folder
	texts  []string // headlines
	rounds int      // alternating, of each measurement
	full   bool     // whole sizes, for hours; otherwise minutes
}

// measurement fills a result, whose name and sentence it sets.
type measurement struct {
	name string
	run  func(context.Context, env) (result, error)
}

var measurements = []measurement{{"learn", benchLearn}, {"learn60", benchLearn60}, {"learnmany", benchLearnMany}, {"predict", benchPredict}, {"threads", benchThreads}}

func main() {
	rounds := flag.Int("rounds", 11, "alternating rounds of each measurement")
	only := flag.String("only", "", "which measurements, by commas; all of them if empty")
	full := flag.Bool("full", false, "whole sizes: a million profiles, every curve")
	out := flag.String("out", "out/bench", "folder of the raw samples")
	flag.Parse()
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	if err := run(context.Background(), env{rounds: *rounds, full: *full}, names, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, e env, only []string, out string) (err error) {
	if e.model = os.Getenv("XPEFT_MODEL"); e.model == "" {
		return fmt.Errorf(`XPEFT_MODEL is not set: run "make bench", or eval "$(scripts/env.sh)" first`)
	}
	if e.texts, err = headlines("testdata/golden/tokenizer.jsonl.gz"); err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %d rounds, medians\n", runtime.Version(), runtime.NumCPU(), e.rounds)
	for _, m := range measurements {
		if only != nil && !slices.Contains(only, m.name) {
			continue
		}
		r, err := m.run(ctx, e)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		r.print(os.Stdout)
		if err := r.save(out); err != nil {
			return err
		}
	}
	return nil
}

// headlines reads the single texts of 8 words or more.
func headlines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var out []string
	for sc := bufio.NewScanner(z); sc.Scan(); {
		var row struct{ Text, Pair string }
		if err := json.Unmarshal(sc.Bytes(), &row); err != nil {
			return nil, err
		}
		if row.Pair == "" && len(strings.Fields(row.Text)) >= 8 {
			out = append(out, row.Text)
		}
	}
	return out, nil
}

// words is a text of n words, made of the headlines.
func words(texts []string, n int) string {
	return strings.Join(strings.Fields(strings.Join(texts, " "))[:n], " ")
}

// timed is how long each of n calls took, in ms.
func timed(n int, f func() error) ([]float64, error) {
	ms := make([]float64, n)
	for i := range ms {
		began := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		ms[i] = time.Since(began).Seconds() * 1e3
	}
	return ms, nil
}
