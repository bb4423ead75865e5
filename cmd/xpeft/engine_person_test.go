package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// TestObserveSaysWhatWaits: the last row, after those of what was learned; bad lines are named.
func TestObserveSaysWhatWaits(t *testing.T) {
	dir := learnedFolder(t)
	in := examples("dave", 2) + `{"profile":"eve","text":"lunch?","label":"later","weight":2}` + "\n" +
		`{"profile":"eve","text":"lunch?","label":"urgent","rejected":true}`
	rows := call(t, full, dir, in, "observe", "--json").want(t, exitOK).rows(t)
	if len(rows) != 2 || rows[0]["profile"] != "dave" || rows[0]["waiting"] != 0.0 || rows[0]["prequential"] == nil {
		t.Fatalf("got %v, want dave's learning and what waits", rows)
	}
	if diff := cmp.Diff(map[string]any{"waiting_examples": 2.0, "waiting_profiles": 1.0}, rows[1]); diff != "" {
		t.Errorf("last row (-want +got):\n%s", diff)
	}
	if out := call(t, full, dir, "", "observe").want(t,
		exitOK).out; out != "waiting for the next training: 2 examples of 1 profile\n" {
		t.Errorf("got %q, want what waits", out)
	}
	told := call(t, pure, dir, "", "examples", "list", "eve").want(t, exitOK).rows(t)
	if len(told) != 2 || told[0]["weight"] != 2.0 || told[1]["rejected"] != true || told[1]["learned"] != false {
		t.Errorf("got %v, want what was observed", told)
	}
	for line, want := range map[string]string{
		`{"text":"x","label":"later"}`:                                   `stdin:2: no "profile"`,
		`{"profile":"eve","text":"x"}`:                                   "stdin:2: neither",
		`{"profile":"eve","text":"x","label":"later","weight":0}`:        `stdin:2: "weight" is 0`,
		`{"profile":"eve","text":"x","value":1,"rejected":true}`:         `stdin:2: "rejected" with`,
		`{"profile":"eve","text":"x","label":"later","rejected":"true"}`: `stdin:2: "rejected": `,
	} {
		if r := inProcess(t, dir, "\n"+line, "observe").want(t, exitInput); !strings.Contains(r.err, want) {
			t.Errorf("%s: got %q, want %q", line, r.err, want)
		}
	}
}

// TestObserveFails: a background learning that fails is a row, and the exit code.
func TestObserveFails(t *testing.T) {
	dir := learnedFolder(t)
	call(t, full, dir, examples("dave", 2), "learn", "--epochs", "1", "--drop-examples").want(t, exitOK)
	st, err := folder.Open(dir, nil)
	must(t, err)
	var unknown []store.Example
	for i := range 8 {
		unknown = append(unknown, store.Example{Text: fmt.Sprint("text ", i), Label: "never"})
	}
	must(t, st.AppendExamples(t.Context(), "dave", unknown))
	must(t, st.Close())
	r := call(t, full, dir, "", "observe", "--json")
	rows := r.rows(t)
	if r.code != exitInput || len(rows) != 2 || rows[0]["profile"] != "dave" || rows[0]["code"] != "input" ||
		rows[1]["waiting_examples"] != 8.0 {
		t.Errorf("got exit code %d and %v, want 8, dave's error and 8 examples that wait", r.code, rows)
	}
}

// TestForgottenExampleIsLearnedAnew: what examples forget makes due, the next observe learns, and
// installs.
func TestForgottenExampleIsLearnedAnew(t *testing.T) {
	dir := learnedFolder(t)
	call(t, pure, dir, "", "examples", "forget", "alice", "--text", "The server 1 is down").want(t, exitOK)
	if stats := call(t, pure, dir, "", "stats", "--json").want(t, exitOK).rows(t)[0]; stats["waiting_profiles"] != 1.0 {
		t.Errorf("got %v profiles waiting, want alice", stats["waiting_profiles"])
	}
	rows := call(t, full, dir, "", "observe", "--json").want(t, exitOK).rows(t)
	if len(rows) != 2 || rows[0]["profile"] != "alice" || rows[0]["installed"] != true ||
		rows[1]["waiting_profiles"] != 0.0 {
		t.Errorf("got %v, want alice learned anew and nothing that waits", rows)
	}
	show := call(t, pure, dir, "", "show", "alice", "--json").want(t, exitOK).rows(t)[0]
	if show["stored_examples"] != 11.0 || len(show["history"].([]any)) != 0 {
		t.Errorf("got %v, want 11 examples and no earlier revision", show)
	}
}

// TestInitWarns: labels that the model cannot tell apart by their names are said.
func TestInitWarns(t *testing.T) {
	learnedFolder(t)
	if got := prepared.created["alike"]; len(got.([]any)) != 0 {
		t.Errorf("urgent and later: got %v alike, want none", got)
	}
	args := []string{"init", "--model", modelDir(t), "--labels", "🜁🜂, 🜃,plain ", "--bank-n", "4"}
	row := call(t, full, filepath.Join(t.TempDir(), "a"), "", append(args, "--json")...).want(t, exitOK).rows(t)[0]
	if diff := cmp.Diff([]any{[]any{"🜁🜂", "🜃"}}, row["alike"]); diff != "" {
		t.Errorf("alike (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{"🜁🜂", "🜃", "plain"}, row["labels"]); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if out := call(t, full, filepath.Join(t.TempDir(), "b"), "", args...).want(t, exitOK).out; !strings.Contains(out,
		"\nwarning  ") || !strings.Contains(out, "🜁🜂, 🜃\n") {
		t.Errorf("got %q, want a warning that names them", out)
	}
}

// TestLabelsPending: a label of five people is named, and joins the shared head when head train is
// told to.
func TestLabelsPending(t *testing.T) {
	dir := learnedFolder(t)
	if out := call(t, full, dir, "", "labels", "pending", "--json").want(t, exitOK).out; out != "" {
		t.Errorf("got %q, want nothing while all have the shared head", out)
	}
	var in strings.Builder
	for i := range 5 {
		in.WriteString(examples(fmt.Sprint("p", i), 2) +
			strings.ReplaceAll(strings.ReplaceAll(examples(fmt.Sprint("p", i), 1), "urgent", "invoice"), "server 0",
				"bill"))
	}
	call(t, full, dir, in.String(), "learn", "--labels", "urgent,later,invoice", "--epochs", "1").want(t, exitOK)
	call(t, full, dir, strings.ReplaceAll(examples("q", 2), "urgent", "rare"), "learn", "--labels", "later,rare",
		"--epochs", "1").want(t, exitOK)
	rows := call(t, full, dir, "", "labels", "pending", "--json").want(t, exitOK).rows(t)
	if len(rows) != 2 || rows[0]["label"] != "invoice" || rows[0]["people"] != 5.0 || rows[1]["label"] != "" ||
		rows[1]["people"] != 1.0 {
		t.Fatalf("got %v, want invoice of five, and one that is not named", rows)
	}
	if out := call(t, full, dir, "", "labels", "pending").want(t, exitOK).out; !strings.HasPrefix(out, "LABEL") ||
		!strings.Contains(out, "(of fewer than 5 people)") {
		t.Errorf("got %q, want a table", out)
	}
	call(t, full, dir, "", "head", "train", "--add-labels", "invoice", "--force").want(t, exitOK)
	if rows := call(t, full, dir, "", "labels", "pending", "--json").want(t, exitOK).rows(t); len(rows) != 1 ||
		rows[0]["label"] != "" {
		t.Errorf("after head train: got %v, want the other one alone", rows)
	}
	call(t, full, dir, `{"profile":"new","text":"the bill","label":"invoice"}`, "observe").want(t, exitOK)
}
