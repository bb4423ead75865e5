package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/xpeft/xpeft/learner"
)

// skipped is why a measurement cannot run here.
type skipped string

func (s skipped) Error() string { return "skipped: " + string(s) }

// python runs peers.py, a process for each call: it loads its models anew, which is not part of what it times.
type python struct {
	program, script, model, texts string
}

// newPython writes the texts as the script reads them; the caller removes the file.
func newPython(v env) (*python, error) {
	if v.peers == "" || v.python == "" {
		return nil, skipped("it needs the peers' script and a Python that has them: make bench-peers PEERS=…/peers.py PYTHON=…/bin/python, after pip install -r requirements.txt there")
	}
	if _, err := os.Stat(v.peers); err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, t := range v.texts {
		if err := enc.Encode(map[string]string{"text": t}); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp("", "xpeft-bench-*.jsonl")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(lines.Bytes()); err != nil {
		return nil, err
	}
	return &python{program: v.python, script: v.peers, model: v.model, texts: f.Name()}, nil
}

// line is what the script prints of one system.
type line struct {
	System string  `json:"system"` // transformers 4.57.6
	What   string  `json:"what"`
	Batch  int     `json:"batch"`
	MS     float64 `json:"ms_per_batch"`
}

// name is the library's without its version.
func (l line) name() string {
	name, _, _ := strings.Cut(l.System, " ")
	return name
}

func (p *python) run(ctx context.Context, args ...string) ([]line, error) {
	args = append([]string{p.script, p.model, p.texts, "--threads", strconv.Itoa(runtime.NumCPU()), "--length", strconv.Itoa(fixtureTokens), "--profiles", strconv.Itoa(peersRows)}, args...)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", p.script, err, errs.String())
	}
	return parseLines(out.Bytes())
}

// parseLines reads one JSON object a line.
func parseLines(out []byte) (lines []line, err error) {
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var l line
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("the peers' output: %w", err)
		}
		if l.System == "" || l.Batch < 1 || !(l.MS > 0) {
			return nil, fmt.Errorf("the peers' output: a line without system, batch or time: %+v", l)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// round adds a sample to each of the peers' series.
func (p *python) round(ctx context.Context, r *result, batches int) error {
	lines, err := p.run(ctx, "--only", "base,peft,adapters", "--batches", strconv.Itoa(batches))
	if err != nil {
		return err
	}
	first := len(r.Notes) == 0
	for _, l := range lines {
		size := "one text"
		if l.Batch > 1 {
			size = fmt.Sprintf("%d rows", l.Batch)
		}
		r.add(l.name()+", "+size, "texts/s", 0, float64(l.Batch)/l.MS*1e3)
		if first && l.Batch > 1 {
			r.Notes = append(r.Notes, l.System+": "+l.What)
		}
	}
	return nil
}

// learnBeside adds a sample of how long 60 texts × 10 epochs take: masks over N=400 and a head here, a single adapter and a head there.
func learnBeside(ctx context.Context, v env, o *ownSide, p *python, r *result) error {
	s, err := learn60(ctx, v, o)
	if err != nil {
		return err
	}
	r.add("xpeft, 60 texts learned", "s", 0, s)
	lines, err := p.run(ctx, "--only", "learn60x10")
	if err != nil {
		return err
	}
	for _, l := range lines {
		r.add(l.name()+", 60 texts learned", "s", 0, l.MS/1e3)
	}
	return nil
}

// learn60 is how many seconds 60 texts × 10 epochs take, 16 texts a step, tokenised here.
func learn60(ctx context.Context, v env, o *ownSide) (float64, error) {
	began := time.Now()
	job, b, c, err := o.side.learnJob(v, 60, 400)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	c.Epochs = 10
	_, err = learner.Learn(ctx, o.side.env(b), job, c)
	return time.Since(began).Seconds(), err
}
