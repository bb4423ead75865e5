package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// statements are on two things that people like or do not.
func statements() (texts []string) {
	for _, s := range []string{"a new %s is built in the old town", "the city pays for the %s",
		"we spent the evening at the %s", "children should learn about the %s at school",
		"my friends talk of nothing but the %s", "tickets for the %s are sold out",
		"there is a long report on the %s in the paper", "they closed the %s last year"} {
		for _, of := range []string{"football stadium", "opera house"} {
			texts = append(texts, fmt.Sprintf(s, of))
		}
	}
	return texts
}

// opinions of a person who likes the one thing or the other, as JSON lines.
func opinions(profile string, likes string) string {
	var b strings.Builder
	for _, text := range statements() {
		label := "no"
		if strings.Contains(text, likes) {
			label = "yes"
		}
		fmt.Fprintf(&b, `{"profile":%q,"text":%q,"label":%q}`+"\n", profile, text, label)
	}
	return b.String()
}

// TestAskAndAdvise is the way from people who differ to three questions for a new one, with the
// real weights.
func TestAskAndAdvise(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	call(t, full, dir, "", "init", "--model", modelDir(t), "--labels", "yes,no", "--bank-n", "20", "--k", "5",
		"--max-tokens", "32").want(t, exitOK)
	var questions strings.Builder
	for _, text := range statements() {
		fmt.Fprintf(&questions, `{"text":%q}`+"\n", text)
	}
	call(t, full, dir, questions.String(), "ask", "--profile", "new", "--json").want(t, exitError)
	none := call(t, full, dir, "", "bank", "advise", "--json").want(t, exitOK).rows(t)[0]
	if none["worth"] != false || none["population"].(map[string]any)["more_people"] == 0.0 {
		t.Errorf("of nobody: got %v", none)
	}
	var in strings.Builder
	for i := range 12 {
		in.WriteString(opinions(fmt.Sprint("fan ", i), "football"))
		in.WriteString(opinions(fmt.Sprint("singer ", i), "opera"))
	}
	call(t, full, dir, in.String(), "learn", "--json").want(t, exitOK)
	advice := call(t, full, dir, "", "bank", "advise", "--json").want(t, exitOK).rows(t)[0]
	if last := call(t, full, dir, "", "stats", "--json").want(t,
		exitOK).rows(t)[0]["advice"].(map[string]any); last["reason"] != advice["reason"] || last["trained"] != false {
		t.Errorf("stats: got %v, want what was advised: %v", last, advice["reason"])
	}
	if advice["worth"] != true || advice["population"].(map[string]any)["people"] != 24.0 {
		t.Errorf("got %v, want a bank to be worth training", advice)
	}
	call(t, full, dir, "", "ask", "--profile", "new", "--kept").want(t, exitError)
	bank := call(t, full, dir, "", "bank", "train", "--keep-head", "--keep-texts", "--json").want(t, exitOK).rows(t)[0]
	if bank["installed"] != true || bank["population"].(map[string]any)["rank"] == 0.0 || bank["kept_texts"] != 16.0 {
		t.Fatalf("got %v, want axes and 16 texts", bank)
	}
	if banks := call(t, full, dir, "", "bank", "list", "--json").want(t,
		exitOK).rows(t); banks[len(banks)-1]["origin"] != "joint" || banks[len(banks)-1]["axes"] == 0.0 {
		t.Errorf("got %v, want joint axes last", banks)
	}
	asked := call(t, full, dir, questions.String(), "ask", "--profile", "new", "-n", "2", "--json").want(t,
		exitOK).rows(t)
	if len(asked) != 2 || len(asked[0]["labels"].([]any)) != 2 {
		t.Fatalf("got %v, want two questions", asked)
	}
	kept := call(t, full, dir, "", "ask", "--profile", "new", "-n", "2", "--kept", "--json").want(t, exitOK).rows(t)
	if len(kept) != 2 || kept[0]["text"] != asked[0]["text"] {
		t.Errorf("of the texts that are kept: got %v, want %v", kept, asked)
	}
	passed := filepath.Join(t.TempDir(), "passed.jsonl")
	must(t, os.WriteFile(passed, fmt.Appendf(nil, `{"text":%q}`+"\n", asked[0]["text"]), 0o600))
	if next := call(t, full, dir, "", "ask", "--profile", "new", "-n", "99", "--kept", "--skip", passed,
		"--json").want(t, exitOK).rows(t); len(next) != 15 || next[0]["text"] == asked[0]["text"] {
		t.Errorf("without %q: got %v, want the other 15", asked[0]["text"], next)
	}
	call(t, full, dir, "", "ask", "--profile", "new", "--skip", "-").want(t, exitUsage)
	if none := call(t, full, dir, "", "ask", "--profile", "new").want(t, exitOK); none.out != "" {
		t.Errorf("of no candidates: got %q", none.out)
	}
	var answers strings.Builder
	for _, row := range asked {
		for _, line := range strings.SplitAfter(opinions("new", "opera"), "\n") {
			if strings.Contains(line, fmt.Sprintf("%q", row["text"])) {
				answers.WriteString(line)
			}
		}
	}
	learned := call(t, full, dir, answers.String(), "learn", "--json").want(t, exitOK).rows(t)[0]
	if learned["mask_bytes"].(float64) < 1 || learned["mask_bytes"].(float64) > 8 {
		t.Errorf("got %v, want a code of at most 8 bytes", learned)
	}
	for text, want := range map[string]string{"a walk along the football stadium": "no",
		"a walk along the opera house": "yes"} {
		got := call(t, full, dir, "", "predict", "--profile", "new", "--json", text).want(t, exitOK).rows(t)[0]
		if got["label"] != want {
			t.Errorf("%s: got %v, want %s", text, got, want)
		}
	}
	shown := call(t, full, dir, "", "show", "new", "--masks", "--json").want(t, exitOK).rows(t)[0]
	rows := shown["masks"].([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["label"] != nil ||
		float64(len(rows[0].(map[string]any)["adapters"].([]any))) != shown["k"] {
		t.Errorf("got %v, want one row for all labels", shown)
	}
	call(t, full, dir, "", "check", "--deep").want(t, exitOK)
	text := call(t, full, dir, "", "bank", "advise").want(t, exitOK)
	if !strings.Contains(text.out, "1 example ") || !strings.Contains(text.out, "gain") {
		t.Errorf("got %s", text.out)
	}
}
