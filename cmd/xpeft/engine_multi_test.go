package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// topics are things and what is said of them.
var topics = []struct {
	of            string
	things, frame []string
}{
	{"servers", []string{"payment service", "database", "web server", "login page"},
		[]string{"the %s is down again", "the %s has stopped answering", "errors from the %s since noon"}},
	{"bills", []string{"rent", "tax bill", "plumber's invoice", "phone bill"},
		[]string{"the %s is due tomorrow", "the %s was not paid", "a reminder of the %s came by post"}},
	{"sports", []string{"home team", "goalkeeper", "striker", "coach"},
		[]string{"the %s won the cup", "what a match of the %s", "the %s was hurt in the final"}},
}

// messages are the topics' texts, as JSON lines, with the labels that a person gives each topic.
func messages(profile string, labels map[string][]string) string {
	var b strings.Builder
	for i := range 12 {
		for _, t := range topics {
			set := `"` + strings.Join(labels[t.of], `","`) + `"`
			if len(labels[t.of]) == 0 {
				set = ""
			}
			fmt.Fprintf(&b, `{"profile":%q,"text":%q,"labels":[%s]}`+"\n", profile,
				fmt.Sprintf(t.frame[i/4], t.things[i%4]), set)
		}
	}
	return b.String()
}

// TestMulti: two people teach overlapping labels of which a text has several or none, with the real
// weights, and each gets their own answers to texts that nobody taught.
func TestMulti(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := call(t, full, dir, "", "init", "--model", modelDir(t), "--labels", "urgent,money", "--multi",
		"--max-tokens", "32", "--json").want(t, exitOK).rows(t)[0]
	if made["multi"] != true || call(t, full, dir, "", "stats", "--json").rows(t)[0]["multi"] != true {
		t.Errorf("init: got %v", made)
	}
	people := map[string]map[string][]string{
		"ann": {"servers": {"urgent"}, "bills": {"urgent", "money"}},
		"ben": {"servers": {"money", "urgent"}, "bills": {"money"}, "sports": {"urgent"}},
	}
	for id, labels := range people {
		rep := call(t, full, dir, messages(id, labels), "learn", "--json").want(t, exitOK).rows(t)[0]
		before, after := rep["before"].(map[string]any), rep["after"].(map[string]any)
		t.Logf("%s: accuracy %.3f out of fold, of the prior %.3f, %v bytes", id, after["accuracy"], before["accuracy"],
			rep["bytes"])
		if after["accuracy"].(float64) < 0.9 || after["n"] != 72.0 || rep["installed"] != true {
			t.Errorf("%s: got %v", id, rep)
		}
	}
	asked := map[string]string{"servers": "the mail gateway does not answer", "bills": "the electricity bill is not paid",
		"sports": "the defender scored in the last minute"}
	for id, labels := range people {
		for topic, text := range asked {
			row := call(t, full, dir, "", "predict", "-p", id, "--json", text).want(t, exitOK).rows(t)[0]
			var got []string
			for _, l := range row["labels"].([]any) {
				got = append(got, l.(string))
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(labels[topic])); !slices.Equal(got, want) || row["label"] != nil ||
				row["source"] != "profile" {
				t.Errorf("%s: %q: got %v, want %v", id, text, row, want)
			}
		}
	}
	taught := fmt.Sprintf(topics[1].frame[0], "rent")
	if got := call(t, full, dir, "", "predict", "-p", "ann", taught).want(t, exitOK).out; got !=
		"money, urgent\tann\t"+taught+"\t(taught)\n" {
		t.Errorf("taught: got %q", got)
	}
	shown := call(t, full, dir, "", "show", "ann", "--examples").want(t, exitOK).out
	if d := cmp.Diff(sorted(messages("ann", people["ann"])), sorted(shown)); d != "" {
		t.Errorf("show --examples (-taught +shown):\n%s", d)
	}
	call(t, full, dir, "", "predict", "-p", "ann", "--thresholds", "urgent=0", "a").want(t, exitUsage)
	call(t, full, dir, "", "predict", "-p", "ann", "--thresholds", "urgent", "a").want(t, exitUsage)
	call(t, full, dir, "", "predict", "-p", "ann", "--thresholds", "nonsense=0.5", "a").want(t, exitInput)
	if row := call(t, full, dir, "", "predict", "--thresholds", "urgent=1e-9,money=0.999999", "--json", "a").rows(t)[0]; !cmp.Equal(
		row["labels"], []any{"urgent"}) {
		t.Errorf("thresholds of a request: got %v", row)
	}
	for _, bad := range []string{`"label":"urgent"`, `"labels":["nonsense"]`, `"labels":["urgent"],"label":"urgent"`} {
		call(t, full, dir, `{"profile":"ann","text":"a",`+bad+"}", "learn").want(t, exitInput)
	}
	if got := call(t, full, dir, "", "rank", "a", "b").code; got == exitOK {
		t.Error("rank: got an order in a folder whose labels are not exclusive")
	}
	call(t, full, dir, "", "examples", "forget", "ann", "--text", taught).want(t, exitOK)
	call(t, full, dir, "", "observe", "--in", "/dev/null").want(t, exitOK)
	if row := call(t, full, dir, "", "predict", "-p", "ann", "--json", taught).rows(t)[0]; row["source"] != "profile" {
		t.Errorf("forgotten: got %v", row)
	}
}

// TestThresholds: a folder says which thresholds it was made with, and answers by them.
func TestThresholds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	init := []string{"init", "--model", modelDir(t), "--labels", "urgent,money", "--max-tokens", "32", "--thresholds"}
	call(t, full, dir, "", append(init, "urgent=0.1")...).want(t, exitUsage)
	init = append(init, "urgent=1e-9,money=0.999999", "--multi")
	made := call(t, full, dir, "", append(init, "--json")...).want(t, exitOK).rows(t)[0]
	want := map[string]any{"urgent": 1e-9, "money": 0.999999}
	for what, row := range map[string]map[string]any{"init": made,
		"stats": call(t, full, dir, "", "stats", "--json").rows(t)[0]} {
		if d := cmp.Diff(want, row["thresholds"]); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	if row := call(t, full, dir, "", "predict", "--json", "a").rows(t)[0]; !cmp.Equal(row["labels"], []any{"urgent"}) {
		t.Errorf("got %v, want what the thresholds let through", row)
	}
}

// sorted are the lines of a text in their order, and the labels of each in theirs.
func sorted(text string) []string {
	return slices.Sorted(strings.Lines(strings.ReplaceAll(text, `"urgent","money"`, `"money","urgent"`)))
}

// TestHeadRank: what people chose becomes the order of those who have chosen nothing, with the real
// weights.
func TestHeadRank(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	call(t, full, dir, "", "init", "--model", modelDir(t), "--labels", "yes,no", "--max-tokens", "32").want(t, exitOK)
	call(t, full, dir, "", "head", "rank").want(t, exitInput)
	for person := range 5 {
		for i := range 4 {
			short, long := fmt.Sprintf("ok %d", i), fmt.Sprintf("dear sir, I shall think about number %d at length", i)
			call(t, full, dir, "", "rank", "-p", fmt.Sprint(person), "--chosen", short, short, long).want(t, exitOK)
		}
	}
	rep := call(t, full, dir, "", "head", "rank", "--json").want(t, exitOK).rows(t)[0]
	if rep["profiles"] != 5.0 || rep["choices"] != 20.0 || rep["installed"] != true {
		t.Errorf("got %v, want an order of 20 choices of 5 profiles", rep)
	}
	first := call(t, full, dir, "", "rank", "--json", "dear madam, let me think about number 9", "ok 9").want(t,
		exitOK).rows(t)[0]
	if first["candidate"] != "ok 9" || first["source"] != "base" {
		t.Errorf("of nobody: got %v first, want the short one", first)
	}
}
