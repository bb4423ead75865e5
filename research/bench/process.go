package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
)

// peersScript is Python's side; bench runs in the repository's root.
const peersScript = "research/bench/peers.py"

// skipped is why a measurement cannot run here.
type skipped string

func (s skipped) Error() string { return "skipped: " + string(s) }

// process is a program that has rivals in it. It writes one JSON line about them, then answers each
// JSON line of texts by one of times.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	// rivals is the first line.
	rivals []described
}

// described is what a process says of a rival.
type described struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Slow    bool   `json:"slow"`
	// Right and Changed are shares of a test's answers in %, Changed against the first rival.
	Right   *float64 `json:"right"`
	Changed *float64 `json:"changed"`
}

// start waits until the process has loaded its rivals; progress goes to our standard error.
func start(ctx context.Context, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.out.Decode(&p.rivals); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", filepath.Base(program), err), p.stop())
	}
	return p, nil
}

// stop ends the process, which ends with its input.
func (p *process) stop() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// answer is how many ms each batch took the named rival.
func (p *process) answer(name string, batches [][]string) ([]float64, error) {
	request := struct {
		Rival   string     `json:"rival"`
		Batches [][]string `json:"batches"`
	}{name, batches}
	if err := json.NewEncoder(p.in).Encode(request); err != nil {
		return nil, err
	}
	var times struct{ MS []float64 }
	if err := p.out.Decode(&times); err != nil {
		return nil, err
	}
	return times.MS, nil
}

// otherRivals starts the processes of Python and of hugot, which reads the model that Python's
// exports, and puts what they say of themselves into r; stop ends them.
func otherRivals(ctx context.Context, v env, r *result) (rivals []rival, stop func() error, err error) {
	work, err := os.MkdirTemp("", "xpeft-peers-")
	if err != nil {
		return nil, func() error { return nil }, err
	}
	var processes []*process
	stop = func() (err error) {
		for _, p := range processes {
			err = errors.Join(err, p.stop())
		}
		return errors.Join(err, os.RemoveAll(work))
	}
	own, err := os.Executable()
	if err != nil {
		return nil, stop, err
	}
	for _, command := range [][]string{
		{v.python, peersScript, v.model, work, "--data", v.data, "--threads", strconv.Itoa(runtime.NumCPU()),
			"--length", strconv.Itoa(fixtureTokens), "--profiles", strconv.Itoa(peersRows)},
		{filepath.Join(filepath.Dir(own), "hugot"), work},
	} {
		p, err := start(ctx, command[0], command[1:]...)
		if err != nil {
			return nil, stop, err
		}
		processes = append(processes, p)
		for _, d := range p.rivals {
			d.note(r)
			answer := func(_ context.Context, batches [][]string) ([]float64, error) {
				return p.answer(d.Name, batches)
			}
			rivals = append(rivals, rival{name: d.Name, slow: d.Slow, answer: answer})
		}
	}
	return rivals, stop, nil
}

func (d described) note(r *result) {
	r.Notes = append(r.Notes, d.Name+": "+d.Version)
	if d.Right != nil && d.Changed != nil {
		r.add(d.Name+right, "%", 0, *d.Right)
		r.add(d.Name+changed, "%", 0, *d.Changed)
	}
}
