package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/jsonl"
)

func readAll(text string) (got []line, err error) {
	a := &app{stdin: strings.NewReader(text)}
	in, err := a.openLines(context.Background(), "-")
	if err != nil {
		return nil, err
	}
	defer in.close()
	for {
		l, err := in.read1(context.Background())
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, l)
	}
}

func TestLines(t *testing.T) {
	got, err := readAll("\ufeff" + `{"text":"a","label":"x"}` + "\n\n  \r\n" +
		` {"text":"ü\u0000","pair":"p","value":-1.5,"profile":"q"}` + "\r\n" +
		`{"text":"b","rejected":true,"weight":2.5}`)
	if err != nil {
		t.Fatal(err)
	}
	value, weight := -1.5, 2.5
	want := []line{{1, jsonl.Line{Text: "a", Label: "x"}},
		{4, jsonl.Line{Text: "ü\x00", Pair: "p", Value: &value, Profile: "q"}},
		{5, jsonl.Line{Text: "b", Rejected: true, Weight: &weight}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestBadLines(t *testing.T) {
	good := `{"text":"a"}` + "\n"
	for name, test := range map[string]struct{ text, want string }{
		"not JSON":       {good + "hello", "stdin:2: "},
		"misspelt":       {good + good + `{"text":"a","lable":"x"}`, `stdin:3: unknown field "lable"`},
		"no text":        {`{"label":"x"}`, `stdin:1: no "text"`},
		"an array":       {`[1]`, "stdin:1: "},
		"null":           {`null`, "stdin:1: not a JSON object"},
		"two objects":    {`{"text":"a"}{"text":"b"}`, "stdin:1: more than one"},
		"cut short":      {`{"text":"a`, "stdin:1: the JSON object does not end"},
		"not UTF-8":      {"{\"text\":\"\xff\"}", "stdin:1: not UTF-8"},
		"a wrong type":   {`{"text":3}`, "stdin:1: "},
		"a huge number":  {`{"text":"a","value":1e999}`, "stdin:1: "},
		"no boolean":     {`{"text":"a","rejected":"yes"}`, `stdin:1: "rejected": `},
		"no weight":      {`{"text":"a","weight":"2"}`, `stdin:1: "weight": `},
		"a field twice":  {`{"text":"a","text":"b"}`, `stdin:1: field "text" is there twice`},
		"capitals":       {`{"TEXT":"a"}`, `stdin:1: unknown field "TEXT"`},
		"too long":       {good + `{"text":"` + strings.Repeat("x", jsonl.MaxLine) + `"}`, "stdin:2: longer than"},
		"after an empty": {"\n\n{", "stdin:3: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readAll(test.text)
			var input *inputError
			if !errors.As(err, &input) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got error %v, want an inputError %q…", err, test.want)
			}
			if code := exitCode(err); code != exitInput {
				t.Errorf("exit code: got %d, want %d", code, exitInput)
			}
		})
	}
}

func TestReadExamples(t *testing.T) {
	for name, test := range map[string]struct {
		text, profile string
		want          string // profiles in order, or the error
	}{
		"by profile": {`{"profile":"b","text":"1","label":"x"}` + "\n" + `{"text":"2","label":"y"}` + "\n" +
			`{"profile":"b","text":"3","label":"x"}`, "a", "b:2 a:1"},
		"no profile":    {`{"text":"2","label":"y"}`, "", `stdin:1: no "profile"`},
		"no label":      {`{"text":"2"}`, "a", `stdin:1: neither`},
		"both":          {`{"text":"2","label":"x","value":1}`, "a", `stdin:1: both`},
		"zero is there": {`{"text":"2","value":0}`, "a", "a:1"},
		"mixed":         {`{"text":"2","value":0}` + "\n" + `{"text":"2","label":"x"}`, "a", "stdin:2: profile"},
		"empty":         {"", "a", "stdin:1: no examples"},
		"rejected":      {`{"text":"2","label":"x","rejected":true,"weight":1000}`, "a", "a:1"},
		"a number is": {`{"text":"1","value":1}` + "\n" + `{"text":"2","value":1,"rejected":true}`, "a",
			`stdin:2: "rejected" with a "value"`},
		"of no label": {`{"text":"2","rejected":true}`, "a", `stdin:1: neither`},
		"no weight":   {`{"text":"2","label":"x","weight":0}`, "a", `stdin:1: "weight" is 0, want more than 0`},
		"too little":  {`{"text":"2","label":"x","weight":1e-50}`, "a", `stdin:1: "weight" is 1e-50`},
		"negative":    {`{"text":"2","label":"x","weight":-1}`, "a", `stdin:1: "weight" is -1`},
		"too much":    {`{"text":"2","label":"x","weight":1000.5}`, "a", `stdin:1: "weight" is 1000.5`},
	} {
		t.Run(name, func(t *testing.T) {
			a := &app{stdin: strings.NewReader(test.text)}
			groups, err := a.readExamples(context.Background(), "-", test.profile)
			var got []string
			for _, g := range groups {
				got = append(got, g.profile+":"+number(len(g.lines)))
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = err.Error()
			}
			if !strings.HasPrefix(text, test.want) {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
}

// TestCancelledRead: a signal ends a command that waits for input.
func TestCancelledRead(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &app{stdin: r}
	in, err := a.openLines(ctx, "-")
	if err != nil {
		t.Fatal(err)
	}
	cancel(signalError{2})
	if _, err := in.read1(ctx); !errors.As(err, new(signalError)) {
		t.Errorf("got error %v, want the signal", err)
	}
}

func TestEachBatch(t *testing.T) {
	bad := errors.New("bad line")
	for _, test := range []struct {
		n, lines int
		end      error
		want     []int
	}{
		{2, 5, io.EOF, []int{2, 2, 1}}, {2, 4, io.EOF, []int{2, 2}}, {3, 0, io.EOF, nil}, {2, 3, bad, []int{2, 1}},
	} {
		read := 0
		next := func() (line, error) {
			if read == test.lines {
				return line{}, test.end
			}
			read++
			return line{Number: read}, nil
		}
		var got []int
		err := eachBatch(test.n, next, func(b []line) error { got = append(got, len(b)); return nil })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("batches of %d lines (-want +got):\n%s", test.lines, diff)
		}
		if test.end == bad && !errors.Is(err, bad) || test.end == io.EOF && err != nil {
			t.Errorf("got error %v, want that of the input unless it is io.EOF", err)
		}
	}
}
