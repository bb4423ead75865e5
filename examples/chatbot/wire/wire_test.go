package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeLearn(t *testing.T) {
	got, err := DecodeLearn(strings.NewReader(`{"examples": [{"text": "hi", "label": "later"}]}` + "\n"))
	want := Learn{Examples: []Example{{Text: "hi", Label: "later"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestBadBodies(t *testing.T) {
	many := `{"text":"a","label":"b"},`
	for name, body := range map[string]string{
		"empty":               "",
		"cut":                 `{"examples": [{"text": "hi", "lab`,
		"not JSON":            "text=hi",
		"unknown field":       `{"examples": [{"text": "hi", "label": "later", "weight": 2}]}`,
		"another field":       `{"texts": []}`,
		"a list":              `[{"text": "hi", "label": "later"}]`,
		"two values":          `{"examples": [{"text": "hi", "label": "later"}]} {}`,
		"a tail":              `{"examples": [{"text": "hi", "label": "later"}]} x`,
		"null":                `null`,
		"no examples":         `{"examples": []}`,
		"no label":            `{"examples": [{"text": "hi"}]}`,
		"no text":             `{"examples": [{"label": "later"}]}`,
		"text of a number":    `{"examples": [{"text": 1, "label": "later"}]}`,
		"long text":           `{"examples": [{"text": "` + strings.Repeat("a", MaxText+1) + `", "label": "later"}]}`,
		"long label":          `{"examples": [{"text": "hi", "label": "` + strings.Repeat("a", MaxLabel+1) + `"}]}`,
		"too many examples":   `{"examples": [` + strings.Repeat(many, MaxExamples) + `{"text":"a","label":"b"}]}`,
		"nested beyond limit": strings.Repeat("[", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeLearn(strings.NewReader(body))
			if !errors.Is(err, ErrBody) || got.Examples != nil {
				t.Errorf("got %v, %v, want ErrBody", got, err)
			}
		})
	}
	for _, body := range []string{"", `{}`, `{"text": ""}`, `{"text": "hi", "user": "x"}`,
		`{"text": "hi"}{"text": "hi"}`} {
		if got, err := DecodePredict(strings.NewReader(body)); !errors.Is(err, ErrBody) || got.Text != "" {
			t.Errorf("%q: got %v, %v, want ErrBody", body, got, err)
		}
	}
}

func TestDecodeObserve(t *testing.T) {
	got, err := DecodeObserve(strings.NewReader(`{"text": "hi", "label": "later"}`))
	if want := (Example{Text: "hi", Label: "later"}); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, body := range []string{"", `{}`, `{"text": "hi"}`, `{"label": "later"}`,
		`{"text": "hi", "label": "later", "user": "x"}`,
		`{"text": "` + strings.Repeat("a", MaxText+1) + `", "label": "b"}`} {
		if got, err := DecodeObserve(strings.NewReader(body)); !errors.Is(err, ErrBody) || got != (Example{}) {
			t.Errorf("%.40q: got %v, %v, want ErrBody", body, got, err)
		}
	}
}

func TestReaderErrorsStayInTheChain(t *testing.T) {
	broken := errors.New("broken")
	for _, start := range []string{"", `{"text": "h`, `{"text": "hi"}`} {
		_, err := DecodePredict(io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("after %q: got %v, want the reader's error", start, err)
		}
	}
}
