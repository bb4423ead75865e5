//go:build cgo

// Command bench measures the costs that xpeft promises, each beside its rival in the same run: alternating rounds, medians, ratios.
//
//	make bench
//
// It needs XPEFT_MODEL. Texts are the headlines in testdata/golden.
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

func main() {
	rounds := flag.Int("rounds", 11, "alternating rounds of each measurement")
	only := flag.String("only", "learn,predict,threads", "which measurements")
	flag.Parse()
	if err := run(context.Background(), *rounds, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only []string) error {
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		return fmt.Errorf(`XPEFT_MODEL is not set: run "make bench", or eval "$(scripts/env.sh)" first`)
	}
	texts, err := headlines("testdata/golden/tokenizer.jsonl.gz")
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %d rounds, medians\n", runtime.Version(), runtime.NumCPU(), rounds)
	for _, m := range []struct {
		name string
		run  func(context.Context, string, []string, int) error
	}{{"learn", benchLearn}, {"predict", benchPredict}, {"threads", benchThreads}} {
		if !slices.Contains(only, m.name) {
			continue
		}
		if err := m.run(ctx, dir, texts, rounds); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
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

func median(ts []time.Duration) time.Duration { return quantile(ts, 0.5) }

func quantile(ts []time.Duration, q float64) time.Duration {
	s := slices.Sorted(slices.Values(ts))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// spread is the smallest and the largest.
func spread(ts []time.Duration) string {
	return fmt.Sprintf("%v to %v", slices.Min(ts).Round(10*time.Microsecond), slices.Max(ts).Round(10*time.Microsecond))
}
