//go:build cgo

// Command coldstart measures what the fallbacks and the starts of new profiles are worth: the same
// held-out texts of the same people are answered in each way, and the differences are paired by person.
//
//	go run ./bench/coldstart -model MODEL -out out/coldstart DATA.jsonl.gz ...
//	go run ./bench/coldstart -out out/coldstart            # the report alone
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/internal/eval"
	"github.com/xpeft/xpeft/internal/stats"
)

// row is what one person's held-out texts were answered in one way.
type row struct {
	Data, Person, Arm string
	Split             int
	Right, Loss       float64 // means over the texts
	Seconds           float64 // of the Learn, if there was one
}

// pairs are the comparisons: what is asked for, and the simpler thing.
var pairs = [][2]string{
	{"0 population", "0 base"},
	{"1 observed population", "1 observed"}, {"1 observed nearest", "1 observed"}, {"1 observed nearest", "1 observed population"},
	{"3 observed population", "3 observed"}, {"3 observed nearest", "3 observed"}, {"3 observed nearest", "3 observed population"},
	{"1 learned population", "1 learned fresh"}, {"1 learned nearest", "1 learned fresh"}, {"1 learned nearest", "1 learned population"},
	{"4 learned population", "4 learned fresh"}, {"4 learned nearest", "4 learned fresh"}, {"4 learned nearest", "4 learned population"},
	{"16 learned population", "16 learned fresh"}, {"16 learned nearest", "16 learned fresh"}, {"16 learned nearest", "16 learned population"},
	{"40 learned population", "40 learned fresh"},
}

func main() {
	log.SetFlags(log.Ltime)
	var o options
	flag.StringVar(&o.model, "model", os.Getenv("XPEFT_MODEL"), "folder of the model")
	flag.StringVar(&o.out, "out", "out/coldstart", "folder of the results; runs that are there are not repeated")
	flag.IntVar(&o.learners, "learners", 48, "people who have learned")
	flag.IntVar(&o.newcomers, "newcomers", 32, "people who are new")
	flag.IntVar(&o.train, "train", 40, "most texts of one who has learned")
	flag.IntVar(&o.test, "test", 24, "most held-out texts of a newcomer")
	flag.IntVar(&o.splits, "splits", 1, "divisions of the people")
	flag.BoolVar(&o.names, "names", false, "keep the head of the labels' names and the bank in all blocks: before any TrainHead")
	flag.BoolVar(&o.starts, "starts", false, "compare only the starts fresh and population, with up to 40 examples")
	flag.Parse()
	if err := run(o, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(o options, files []string) error {
	if err := os.MkdirAll(o.out, 0o777); err != nil {
		return err
	}
	for split := range o.splits {
		for _, path := range files {
			name := strings.TrimSuffix(filepath.Base(path), ".jsonl.gz")
			if o.names {
				name += "-names"
			}
			to := filepath.Join(o.out, fmt.Sprintf("%s-%d.jsonl", name, split))
			if _, err := os.Stat(to); err == nil {
				continue
			}
			d, err := eval.ReadData(path, eval.Fields{ID: "author", Text: "text", Pair: "pair", Label: "category"})
			if err != nil {
				return err
			}
			rows, err := measure(o, name, d, split)
			if err != nil {
				return err
			}
			if err := write(to, rows); err != nil {
				return err
			}
		}
	}
	return report(o.out)
}

func write(path string, rows []row) error {
	var b strings.Builder
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	return os.WriteFile(path, []byte(b.String()), 0o666)
}

// report prints the differences of each data set, and of all of them.
func report(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return err
	}
	var all []row
	var sets []string
	for _, f := range files {
		rows, err := read(f)
		if err != nil {
			return err
		}
		all = append(all, rows...)
		if len(rows) > 0 && !slices.Contains(sets, rows[0].Data) {
			sets = append(sets, rows[0].Data)
		}
	}
	fmt.Println("| data | asked | instead of | people | accuracy | by | points (95 %) | log-loss (95 %) | seconds |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, set := range append(sets, "all") {
		for _, p := range pairs {
			compare(all, set, p[0], p[1])
		}
	}
	return nil
}

func read(path string) (rows []row, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var r row
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// compare prints one line: arms a and b of the same people. One who was new in several splits counts once.
func compare(all []row, set, a, b string) {
	type sum struct{ n, a, b, right, loss, secondsA, secondsB float64 }
	people, order := map[string]*sum{}, []string{}
	for i := range all {
		r := all[i]
		if set != "all" && r.Data != set || set == "all" && strings.HasSuffix(r.Data, "-names") || r.Arm != a && r.Arm != b {
			continue
		}
		key := r.Data + "/" + r.Person
		s := people[key]
		if s == nil {
			s = &sum{}
			people[key], order = s, append(order, key)
		}
		if r.Arm == a {
			s.n, s.a, s.right, s.loss, s.secondsA = s.n+1, s.a+r.Right, s.right+r.Right, s.loss+r.Loss, s.secondsA+r.Seconds
		} else {
			s.b, s.right, s.loss, s.secondsB = s.b+r.Right, s.right-r.Right, s.loss-r.Loss, s.secondsB+r.Seconds
		}
	}
	if len(order) == 0 {
		return
	}
	var right, loss, accA, accB, secA, secB []float64
	for _, k := range order {
		s := people[k]
		right, loss = append(right, 100*s.right/s.n), append(loss, s.loss/s.n)
		accA, accB = append(accA, 100*s.a/s.n), append(accB, 100*s.b/s.n)
		secA, secB = append(secA, s.secondsA/s.n), append(secB, s.secondsB/s.n)
	}
	points, losses := stats.Bootstrap(right, 10000, 1), stats.Bootstrap(loss, 10000, 1)
	fmt.Printf("| %s | %s | %s | %d | %.1f | %.1f | %+.2f (%+.2f to %+.2f) | %+.4f (%+.4f to %+.4f) | %.2f, %.2f |\n", set, a, b, len(order), stats.Mean(accA), stats.Mean(accB),
		points.Mean, points.Low, points.High, losses.Mean, losses.Low, losses.High, stats.Mean(secA), stats.Mean(secB))
}
