package sdk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inputsDir has small inputs that once failed; tests that read them skip where it is not.
const inputsDir = "../../shared/inputs"

// input reads a file of JSON lines.
func input(t *testing.T, name string) (out []Example) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(inputsDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no " + filepath.Join(inputsDir, name))
	}
	if err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(bytes.NewReader(data)); sc.Scan(); {
		var e Example
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// real is a folder over the real weights.
func real(t *testing.T, c Config) *Folder {
	t.Helper()
	if c.Model = os.Getenv("XPEFT_MODEL"); c.Model == "" {
		t.Skip("no XPEFT_MODEL")
	}
	return create(t, c)
}

// right is how many texts a profile answers with their labels.
func rightOf(t *testing.T, p *Folder, id string, es []Example) (n int) {
	t.Helper()
	for _, e := range es {
		if mustPredict(t, p, id, e.Text).Model == e.Label {
			n++
		}
	}
	return n
}

// TestBurst: corrections that come while their profile learns are learned before Drain returns.
func TestBurst(t *testing.T) {
	es := input(t, "a01_burst.jsonl")
	p := real(t, Config{Labels: labels})
	mustObserve(t, p, "dana", es...)
	drain(t, p)
	info, err := p.Profile(context.Background(), "dana")
	if err != nil {
		t.Fatal(err)
	}
	learned := 0 // by a training, whether or not its revision was installed
	for e, err := range p.Examples(context.Background(), "dana") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Learned {
			learned++
		}
	}
	t.Logf("%d observed, %d learned, %d of them by what is served, %d wait", len(es), learned, info.Examples,
		info.Waiting)
	if learned+info.Waiting != len(es) || info.Waiting >= p.options.ObserveEvery {
		t.Errorf("got %d learned and %d that wait, want all %d but at most %d", learned, info.Waiting, len(es),
			p.options.ObserveEvery-1)
	}
}

// TestRepeatedText: 512 retries of one message take nothing away of what was taught.
func TestRepeatedText(t *testing.T) {
	t.Parallel()
	taught, again := input(t, "a01_burst.jsonl"), input(t, "a02_dups.jsonl")
	p := real(t, Config{Labels: labels})
	mustLearn(t, p, "dana", taught, forced())
	mustObserve(t, p, "dana", again...)
	drain(t, p)
	stored, err := p.stored("dana")
	if err != nil {
		t.Fatal(err)
	}
	info, err := p.Profile(context.Background(), "dana")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d taught, %d observed: %d stored, %d learned, %d wait", len(taught), len(again), len(stored),
		info.Examples, info.Waiting)
	for _, e := range taught {
		if !slices.ContainsFunc(stored, func(s Example) bool { return cmp.Equal(s, e) }) {
			t.Errorf("%q is gone", e.Text)
		}
	}
	if len(stored) != len(taught)+1 || info.Waiting != 1 || info.Revision != 1 {
		t.Errorf("got %d stored, %d that wait, revision %d, want %d, 1 and 1: it is one text", len(stored),
			info.Waiting, info.Revision, len(taught)+1)
	}
}

// TestLabelsAlike: labels whose names the model cannot tell apart are learned nearly as well as
// those that it can.
func TestLabelsAlike(t *testing.T) {
	t.Parallel()
	seeds := 10
	if testing.Short() {
		seeds = 2
	}
	accuracy := func(name string) (mean float64) {
		es := input(t, name)
		var names []string
		for _, e := range es {
			if !slices.Contains(names, e.Label) {
				names = append(names, e.Label)
			}
		}
		for seed := range seeds {
			var rep CreateReport
			var log bytes.Buffer
			p := real(t, Config{Labels: names, Bank: RandomBank{N: 150, Seed: uint64(seed)},
				Report:  func(r CreateReport) { rep = r },
				Options: &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}})
			if said := len(rep.Alike) > 0; said != (name == "a03_learn.jsonl") ||
				said != strings.Contains(log.String(), "cannot tell apart") {
				t.Errorf("%s: Create's report says %v, the log %q", name, rep.Alike, log.String())
			}
			mean += mustLearn(t, p, "mei", es, nil).After.Accuracy / float64(seeds)
		}
		return mean
	}
	control, got := accuracy("a03_control.jsonl"), accuracy("a03_learn.jsonl")
	t.Logf("held-out accuracy, mean of %d seeds: %.3f with English labels, %.3f with Chinese ones", seeds, control, got)
	if got < control-0.1 {
		t.Errorf("got %.3f, want at least %.3f", got, control-0.1)
	}
}

// TestLabelsOneButForCase: each label of a shared head can be answered, whatever their names.
func TestLabelsOneButForCase(t *testing.T) {
	for _, names := range [][]string{{"Urgent", "urgent", "later"}, {"👍", "👎"}, {"体育", "财经"}} {
		p := real(t, Config{Labels: names})
		_, ref, err := p.shared()
		if err != nil {
			t.Fatal(err)
		}
		h, err := p.head(ref)
		if err != nil {
			t.Fatal(err)
		}
		row := func(c int) []float32 {
			out := slices.Clone(h.W[c*h.Hidden : (c+1)*h.Hidden])
			scaleTo(out, 1)
			return out
		}
		for a := range names {
			for b := range a {
				if cosine := dot(row(a), row(b)); cosine > 0.9 {
					t.Errorf("%q and %q have rows with a cosine of %.4f", names[a], names[b], cosine)
				}
			}
		}
		again, _, err := p.headFromNames(context.Background(), names)
		if err != nil || !slices.Equal(again.W, h.W) {
			t.Errorf("%q: got another head (%v) from the same names", names, err)
		}
	}
}

// TestStreamOfOneLabel: in a full buffer a stream of one label does not push the others out.
func TestStreamOfOneLabel(t *testing.T) {
	sorted, stream, ask := input(t, "a06_sorted.jsonl"), input(t, "a06_stream.jsonl"), input(t, "a06_ask.jsonl")
	p := real(t, Config{Labels: labels, Options: &Options{Limits: Limits{Examples: 40}}})
	mustLearn(t, p, "zoe", sorted, nil)
	mustObserve(t, p, "zoe", stream...)
	drain(t, p)
	stored, err := p.stored("zoe")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, e := range stored {
		counts[e.Label]++
	}
	n := rightOf(t, p, "zoe", ask)
	t.Logf("%v of 40 stored; %d of %d answered as taught", counts, n, len(ask))
	for _, l := range labelsOf(sorted) {
		if counts[l] < 3 {
			t.Errorf("%d of %q are left: %v", counts[l], l, counts)
		}
	}
	if len(stored) != 40 || n < len(ask) {
		t.Errorf("got %d stored and %d of %d right", len(stored), n, len(ask))
	}
}

// TestLabelsAreTrimmed: white space around a label is none of it, in Create, Learn and Observe;
// what cannot be is refused by name.
func TestLabelsAreTrimmed(t *testing.T) {
	c := small(t)
	c.Labels = []string{"urgent", " later", "ignore\t", "e\u0301t\u00e9"}
	p := create(t, c)
	if got, err := p.Labels(context.Background()); err != nil ||
		!slices.Equal(got, []string{"urgent", "later", "ignore", "\u00e9t\u00e9"}) {
		t.Errorf("got %q, %v", got, err)
	}
	mustLearn(t, p, "ann", []Example{{Text: "a", Label: "later "}, {Text: "b", Label: "\u00e9te\u0301"},
		{Text: "c", Label: "urgent"}}, forced())
	mustObserve(t, p, "ann", Example{Text: "d", Label: " ignore"})
	stored, err := p.stored("ann")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"later", "\u00e9t\u00e9", "urgent", "ignore"} {
		if stored[i].Label != want {
			t.Errorf("got label %q, want %q", stored[i].Label, want)
		}
	}
	if got := stored[len(stored)-1].Label; got != "ignore" {
		t.Errorf("got label %q stored", got)
	}
	own := own(1)
	own.Labels = []string{"a ", " b"}
	mustLearn(t, p, "bob", []Example{{Text: "x", Label: "a"}, {Text: "y", Label: "b"}}, own)
	if info, err := p.Profile(context.Background(), "bob"); err != nil ||
		!slices.Equal(info.Labels, []string{"a", "b"}) {
		t.Errorf("got %q, %v", info.Labels, err)
	}
	for _, bad := range [][]string{{"a", " a"}, {"a", " "}, {"a", "\u200b"}, {"\u00e9", "e\u0301"}} {
		c := small(t)
		c.Labels = bad
		_, err := Create(context.Background(), filepath.Join(t.TempDir(), "store"), c)
		wantError(t, strings.Join(bad, ","), err, ErrConfig)
	}
}

// TestUnknownLabelSaysWhatThereIs lists the first ten labels and their number.
func TestUnknownLabelSaysWhatThereIs(t *testing.T) {
	c := small(t)
	c.Labels = nil
	for i := range 12 {
		c.Labels = append(c.Labels, string(rune('a'+i)))
	}
	p := create(t, c)
	err := p.Observe(context.Background(), "ann", Example{Text: "x", Label: "nonsense"})
	if wantError(t, "Observe", err, ErrUnknownLabel); err == nil {
		return
	}
	for _, want := range []string{`"nonsense"`, "12 labels", `"a", "b"`, `"j", …`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to say %s", err, want)
		}
	}
}
