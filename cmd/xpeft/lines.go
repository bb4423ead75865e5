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

// lines reads an input line by line. A signal ends a command that waits for its terminal or pipe.
type lines struct {
	name    string // for messages
	scanner *bufio.Scanner
	number  int // of the line that was read last
	file    io.Closer
}

// takesExamples says, before any is read, that there is no folder for examples, or nothing to read.
func (a *app) takesExamples(path string) error {
	if path == "-" && isTerminal(a.stdin) {
		return usagef("no examples: name a file with --in, or pipe JSON lines in")
	}
	return a.mustExist()
}

// openLines opens a file, or stdin for "-".
func (a *app) openLines(ctx context.Context, path string) (*lines, error) {
	l := &lines{name: path}
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
	l.scanner = bufio.NewScanner(cancellable(ctx, r))
	l.scanner.Buffer(nil, jsonl.MaxLine)
	return l, nil
}

func (l *lines) bad(number int, err error) error { return &inputError{l.name, number, err} }

// read1 returns the next line; io.EOF after the last.
func (l *lines) read1(ctx context.Context) (line, error) {
	for context.Cause(ctx) == nil && l.scanner.Scan() {
		l.number++
		data := l.scanner.Bytes()
		if l.number == 1 {
			data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		}
		if data = bytes.TrimSpace(data); len(data) == 0 {
			continue
		}
		got, err := jsonl.Decode(data)
		if err != nil {
			err = l.bad(l.number, err)
		}
		return line{l.number, got}, err
	}
	err := l.scanner.Err()
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return line{}, cause
	case err == nil:
		return line{}, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		err = fmt.Errorf("longer than %d bytes", jsonl.MaxLine)
	}
	return line{}, l.bad(l.number+1, err)
}

func (l *lines) close() {
	if l.file != nil {
		l.file.Close()
	}
}
