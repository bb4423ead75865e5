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
	"errors"
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
	peers  string   // the script of Python's side; empty: it is skipped
	python string   // what runs it
}

// measurement fills a result, whose name and sentence it sets.
type measurement struct {
	name string
	run  func(context.Context, env) (result, error)
}

// measurements in the order in which they run; the long ones last.
var measurements = []measurement{
	{"cache", benchCache},
	{"fold", benchFold},
	{"foldmany", benchFoldMany},
	{"learn", benchLearn},
	{"mixed", benchMixed},
	{"predict", benchPredict},
	{"threads", benchThreads},
	{"start", benchStart},
	{"peers", benchPeers},
}

func main() {
	if ok, err := beChild(context.Background()); ok {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	rounds := flag.Int("rounds", 11, "alternating rounds of each measurement")
	only := flag.String("only", "", "which measurements, by commas; all of them if empty")
	full := flag.Bool("full", false, "whole sizes: a million profiles, every curve")
	out := flag.String("out", "out/bench", "folder of the raw samples")
	peers := flag.String("peers", "", "script of Python's side, peers.py; without it that measurement is skipped")
	python := flag.String("python", "", "Python that has the peers' libraries")
	loop := flag.String("loop", "", "run one kind of work for a profiler instead: predict1, predict64 or learn")
	long := flag.Duration("for", 20*time.Second, "how long -loop runs")
	var files profiles
	flag.StringVar(&files.cpu, "cpuprofile", "", "file for pprof: where -loop spends its time")
	flag.StringVar(&files.mem, "memprofile", "", "file for pprof: what -loop allocates")
	flag.Parse()
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	e, err := newEnv(env{model: os.Getenv("XPEFT_MODEL"), rounds: *rounds, full: *full, peers: *peers, python: *python})
	if err == nil && *loop != "" {
		err = runLoop(context.Background(), e, *loop, *long, files)
	} else if err == nil {
		err = run(context.Background(), e, names, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func newEnv(e env) (_ env, err error) {
	if e.model == "" {
		return e, fmt.Errorf(`XPEFT_MODEL is not set: run "make bench", or eval "$(scripts/env.sh)" first`)
	}
	e.texts, err = headlines("testdata/golden/tokenizer.jsonl.gz")
	return e, err
}

func run(ctx context.Context, e env, only []string, out string) error {
	fmt.Printf("%s, %d CPUs, %d rounds, medians\n", runtime.Version(), runtime.NumCPU(), e.rounds)
	for _, m := range measurements {
		if only != nil && !slices.Contains(only, m.name) {
			continue
		}
		r, err := m.run(ctx, e)
		if why := skipped(""); errors.As(err, &why) {
			fmt.Printf("\n%s: %v\n", m.name, err)
			continue
		}
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
