package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clsModel is the real weights with another pooling, which is another encoder.
func clsModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(modelDir(t))))
	must(t, os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"),
		[]byte(`{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}`), 0o600))
	return dir
}

// TestMoveKilled: a move that is killed again and again brings everybody over, once, with all of
// their examples; what was told meanwhile follows. XPEFT_LONG=1: 1,000 people.
func TestMoveKilled(t *testing.T) {
	people, kills := 24, 4
	if os.Getenv("XPEFT_LONG") != "" {
		people, kills = 1000, 40
	}
	dir, out, model := t.TempDir(), filepath.Join(t.TempDir(), "out"), clsModel(t)
	call(t, full, dir, "", "init", "--model", modelDir(t), "--labels", "urgent,later", "--max-tokens", "16").want(t,
		exitOK)
	for at := 0; at < people; at += 20 {
		var in strings.Builder
		for i := at; i < min(people, at+20); i++ {
			in.WriteString(examples(fmt.Sprintf("person %d", i), 3))
		}
		call(t, full, dir, in.String(), "learn", "--json").want(t, exitOK)
	}
	args := []string{"move", "--model", model, "--max-tokens", "16", "--json", out}
	for range kills {
		cmd := exec.Command(full, args...)
		cmd.Env = append(os.Environ(), "XPEFT_DIR="+dir)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if _, err := stdout.Read(make([]byte, 1)); err != nil { // the first makes axes for some seconds before
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(10*people)) * time.Millisecond)
		must(t, cmd.Process.Kill())
		if cmd.Wait() == nil {
			t.Log("a move ended before it was killed")
		}
	}
	call(t, full, dir, `{"profile":"person 3","text":"the boss is here","label":"urgent"}`, "observe").want(t, exitOK)
	rows, there := call(t, full, dir, "", args...).want(t, exitOK).rows(t), 0
	for _, row := range rows {
		if row["moved"] != true {
			t.Errorf("got %v", row)
		}
		if row["reason"] == "is there already" {
			there++
		}
	}
	t.Logf("%d of %d were there after %d kills", there, len(rows), kills)
	if len(rows) != people {
		t.Errorf("got %d people, want %d", len(rows), people)
	}
	for i := range people {
		id := fmt.Sprintf("person %d", i)
		old := texts(call(t, full, dir, "", "examples", "list", id, "--json").want(t, exitOK).rows(t))
		now := texts(call(t, full, out, "", "examples", "list", id, "--json").want(t, exitOK).rows(t))
		if old != now || !strings.Contains(old, "server") {
			t.Errorf("%s: got %s, want %s", id, now, old)
		}
	}
	call(t, full, out, "", "check", "--deep").want(t, exitOK)
}

func texts(rows []map[string]any) string {
	var b strings.Builder
	for _, row := range rows {
		fmt.Fprintln(&b, row["text"], row["label"], row["time"])
	}
	return b.String()
}
