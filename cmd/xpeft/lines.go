package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/xpeft/xpeft/internal/jsonl"
)

// line is one object of the input.
type line struct {
	Number int // in the file, from 1
	jsonl.Line
}

// mostWeight is the sdk's bound, checked here too: its errors know no lines.
const mostWeight = 1000

// check says what nothing could be learned from.
func (l line) check() error {
	switch {
	case l.Profile == "":
		return errors.New(`no "profile", and no --profile`)
	case l.Label == "" && l.Value == nil && l.Labels == nil:
		return errors.New(`neither "label" nor "value", nor "labels"`)
	case l.Label != "" && l.Value != nil:
		return errors.New(`both "label" and "value"`)
	case l.Labels != nil && (l.Label != "" || l.Value != nil || l.Rejected):
		return errors.New(`"labels" beside "label", "value" or "rejected"`)
	case l.Rejected && l.Value != nil:
		return errors.New(`"rejected" with a "value": only a label can be rejected`)
	case l.Weight != nil && !(float32(*l.Weight) > 0 && *l.Weight <= mostWeight): // as a float32 it is stored
		return fmt.Errorf(`"weight" is %g, want more than 0 and at most %d`, *l.Weight, mostWeight)
	}
	return nil
}

// lines reads an input line by line. Reading goes on in a goroutine of its own, so that a signal
// ends a command that waits for its terminal or pipe.
type lines struct {
	name string // for messages
	next chan read
	file io.Closer
}

type read struct {
	line line
	err  error
}

// openExamples is openLines of examples for the folder.
func (a *app) openExamples(ctx context.Context, path string) (*lines, error) {
	if path == "-" && isTerminal(a.stdin) {
		return nil, usagef("no examples: name a file with --in, or pipe JSON lines in")
	}
	if err := a.mustExist(); err != nil {
		return nil, err
	}
	return a.openLines(ctx, path)
}

// openLines opens a file, or stdin for "-".
func (a *app) openLines(ctx context.Context, path string) (*lines, error) {
	l := &lines{name: path, next: make(chan read, 64)}
	r := a.stdin
	if path == "-" {
		l.name = "stdin"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		r, l.file = f, f
	}
	go l.read(ctx, r)
	return l, nil
}

func (l *lines) read(ctx context.Context, r io.Reader) {
	defer close(l.next)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, jsonl.MaxLine)
	number := 0
	for scanner.Scan() {
		number++
		data := scanner.Bytes()
		if number == 1 {
			data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		}
		if data = bytes.TrimSpace(data); len(data) == 0 {
			continue
		}
		got := read{line: line{Number: number}}
		var err error
		if got.line.Line, err = jsonl.Decode(data); err != nil {
			got.err = l.bad(number, err)
		}
		select {
		case l.next <- got:
		case <-ctx.Done():
			return
		}
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes", jsonl.MaxLine)
		}
		select {
		case l.next <- read{err: l.bad(number+1, err)}:
		case <-ctx.Done():
		}
	}
}

func (l *lines) bad(number int, err error) error { return &inputError{l.name, number, err} }

// read1 returns the next line; io.EOF after the last.
func (l *lines) read1(ctx context.Context) (line, error) {
	select {
	case got, ok := <-l.next:
		if !ok {
			if err := context.Cause(ctx); err != nil {
				return line{}, err
			}
			return line{}, io.EOF
		}
		return got.line, got.err
	case <-ctx.Done():
		return line{}, context.Cause(ctx)
	}
}

func (l *lines) close() {
	if l.file != nil {
		l.file.Close()
	}
}
