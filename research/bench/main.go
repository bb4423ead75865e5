// Command bench measures the costs that xpeft promises, each beside its rival in the same run:
// alternating rounds, medians, ratios.
//
//	make bench           minutes
//	make bench-full      whole sizes
//	make bench-peers     Python's libraries and hugot, on the same texts, into docs/performance.md
//	make bench-report    docs/performance.md's tables and pictures
//
// It needs XPEFT_MODEL. Texts are the headlines in testdata/golden. The raw samples are written as
// JSON into the folder out.
//
// A loop is one kind of work for a profiler: pprof sees Go, perf the kernels. From the repository's
// root, after make build and eval "$(scripts/env.sh)":
//
//	bin/bench -loop predict64 -cpuprofile bin/cpu.prof -memprofile bin/mem.prof
//	go tool pprof -top bin/cpu.prof; go tool pprof -top -sample_index=alloc_space bin/mem.prof
//	perf record -e cpu-clock -o bin/perf.data bin/bench -loop predict64
//	perf report -i bin/perf.data --sort dso,symbol
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
	python string   // what runs the peers' script; empty: it is skipped
	data   string   // labelled texts for the peers' accuracy; empty: it is not measured
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
	{"learn60", benchLearn60},
	{"learnmany", benchLearnMany},
	{"mixed", benchMixed},
	{"predict", benchPredict},
	{"clients", benchClients},
	{"start", benchStart},
	{"store", benchStore},
	{"encrypted", benchEncrypted},
	{peersName, benchPeers},
}

// task is what the command line asks for.
type task struct {
	env
	only             []string
	out, report, doc string
	loop             string
	long             time.Duration
	files            profiles
}

func main() {
	ctx := context.Background()
	ok, err := beChild(ctx)
	if !ok {
		err = parse().do(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (t task) {
	flag.IntVar(&t.rounds, "rounds", 11, "alternating rounds of each measurement")
	only := flag.String("only", "", "which measurements, by commas; all of them if empty")
	flag.BoolVar(&t.full, "full", false, "whole sizes: a million profiles, every curve")
	flag.StringVar(&t.out, "out", "out/bench", "folder of the raw samples")
	flag.StringVar(&t.python, "python", "", "Python that has the peers' libraries; without it they are skipped")
	flag.StringVar(&t.data, "data", "", "labelled texts for the peers' accuracy; without them it is not measured")
	flag.StringVar(&t.report, "report", "",
		"write the tables and pictures of this folder's samples into -doc instead, "+
			"between its marks; with -only, some of them")
	flag.StringVar(&t.doc, "doc", "docs/performance.md", "document that -report writes")
	flag.StringVar(&t.loop, "loop", "", "run one kind of work for a profiler instead: predict1, predict64 or learn")
	flag.DurationVar(&t.long, "for", 20*time.Second, "how long -loop runs")
	flag.StringVar(&t.files.cpu, "cpuprofile", "", "file for pprof: where -loop spends its time")
	flag.StringVar(&t.files.mem, "memprofile", "", "file for pprof: what -loop allocates")
	flag.Parse()
	if *only != "" {
		t.only = strings.Split(*only, ",")
	}
	return t
}

func (t task) do(ctx context.Context) error {
	if t.report != "" {
		return report(t.report, t.doc, t.only)
	}
	e, err := newEnv(t.env)
	if err != nil {
		return err
	}
	if t.loop != "" {
		return runLoop(ctx, e, t.loop, t.long, t.files)
	}
	return run(ctx, e, t.only, t.out)
}

func newEnv(e env) (_ env, err error) {
	e.model = os.Getenv("XPEFT_MODEL")
	if e.model == "" {
		return e, fmt.Errorf(`XPEFT_MODEL is not set: run "make bench", or eval "$(scripts/env.sh)" first`)
	}
	e.texts, err = headlines("testdata/golden/tokenizer.jsonl.gz")
	return e, err
}

func run(ctx context.Context, e env, only []string, out string) error {
	for _, name := range only {
		if !slices.ContainsFunc(measurements, func(m measurement) bool { return m.name == name }) {
			return fmt.Errorf("no measurement %q", name)
		}
	}
	here := thisMachine()
	fmt.Printf("%s, %d × %s, %d rounds, medians\n", here.Go, here.CPUs, here.CPU, e.rounds)
	for _, m := range measurements {
		if only != nil && !slices.Contains(only, m.name) {
			continue
		}
		others := watch()
		r, err := m.run(ctx, e)
		if why := skipped(""); errors.As(err, &why) {
			fmt.Printf("\n%s: %v\n", m.name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		r.machine, r.Command = here, e.command(m.name)
		r.Others = others()
		r.print(os.Stdout)
		if err := r.save(out); err != nil {
			return err
		}
	}
	return nil
}

// command is what runs a measurement again.
func (e env) command(name string) string {
	if name == peersName {
		return fmt.Sprintf("make bench-peers ARGS='-rounds %d'", e.rounds)
	}
	c := fmt.Sprintf("bin/bench -only %s -rounds %d", name, e.rounds)
	if e.full {
		c += " -full"
	}
	return c
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
