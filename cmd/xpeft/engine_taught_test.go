package main

import (
	"strings"
	"testing"
)

// TestPredictTaught: the table and the JSON say what was taught, and what the model says; flags
// turn it off, and leave out what is not sure.
func TestPredictTaught(t *testing.T) {
	dir := learnedFolder(t)
	const text = "the server 1 is down"
	model := call(t, full, dir, "", "predict", "-p", "alice", "--no-taught", "--json", text).want(t, exitOK).rows(t)[0]
	says := model["label"].(string)
	other := map[string]string{"urgent": "later", "later": "urgent"}[says]
	if model["source"] != "profile" || model["model"] != says || model["margin"].(float64) <= 0 {
		t.Errorf("--no-taught: got %v, want the model's answer", model)
	}
	call(t, full, dir, `{"profile":"alice","text":"`+text+`","label":"`+other+`"}`, "observe").want(t, exitOK)
	taught := call(t, full, dir, "", "predict", "-p", "alice", "--json", text).want(t, exitOK).rows(t)[0]
	if taught["label"] != other || taught["source"] != "taught" || taught["model"] != says ||
		taught["revision"] != model["revision"] || taught["p"].(float64) >= 0.5 {
		t.Errorf("got %v, want %s, taught, and that the model says %s", taught, other, says)
	}
	for _, c := range []struct {
		args    []string
		columns []string // the first, those behind the text
	}{
		{nil, []string{other, "(taught; model: " + says + ")"}},
		{[]string{"--no-taught"}, []string{says}},
		{[]string{"--min-probability", "1"}, []string{other, "(taught; model: " + says + ")"}},
		{[]string{"--min-probability", "1", "--no-taught"}, []string{"-", "(below the minimum; model: " + says + ")"}},
	} {
		out := call(t, full, dir, "", append([]string{"predict", "-p", "alice", text}, c.args...)...).want(t,
			exitOK).out
		got := strings.Split(strings.TrimSuffix(out, "\n"), "\t")
		if len(got) != 3+len(c.columns) || got[0] != c.columns[0] || got[2] != "alice" || got[3] != text ||
			len(got) > 4 && got[4] != c.columns[1] {
			t.Errorf("%v: got %q, want %q around alice and the text", c.args, got, c.columns)
		}
	}
	below := call(t, full, dir, "", "predict", "-p", "alice", "--no-taught", "--min-probability", "1", "--json",
		text).want(t, exitOK).rows(t)[0]
	if below["label"] != nil || below["p"] != nil || below["model"] != says {
		t.Errorf("below the minimum: got %v, want no label", below)
	}
	call(t, full, dir, "", "predict", "--min-probability", "1.5", text).want(t, exitUsage)
}
