package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// modelDir is the folder of the real weights, which scripts/setup.sh brings.
func modelDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		t.Fatal("XPEFT_MODEL is not set: run the tests with make test, or after eval \"$(scripts/env.sh)\"")
	}
	return dir
}

// prepared is a folder over a small bank in which alice and carol have learned; it is made once,
// and the tests work on copies.
var prepared struct {
	once    sync.Once
	dir     string
	created map[string]any
	learned result
}

// learnedFolder returns a copy of the prepared folder.
func learnedFolder(t *testing.T) (dir string) {
	t.Helper()
	prepared.once.Do(func() {
		dir := filepath.Join(filepath.Dir(full), "data")
		args := []string{"init", "--model", modelDir(t), "--labels", "urgent,later", "--bank-n", "20", "--k", "5",
			"--max-tokens", "32", "--json"}
		prepared.created = call(t, full, dir, "", args...).want(t, exitOK).rows(t)[0]
		// bob's label is unknown: alice and carol learn all the same, in the order of their first
		// lines.
		in := examples("alice", 6) + `{"profile":"bob","text":"x","label":"never"}` + "\n" + examples("carol", 6)
		prepared.learned = call(t, full, dir, in, "learn", "--json")
		prepared.dir = dir
	})
	if prepared.dir == "" {
		t.Fatal("the folder could not be prepared")
	}
	dir = t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(prepared.dir)))
	return dir
}

// examples of a profile as JSON lines: n of each label.
func examples(profile string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"profile":%q,"text":"the server %d is down","label":"urgent"}`+"\n", profile, i)
		fmt.Fprintf(&b, `{"profile":%q,"text":"lunch on day %d?","label":"later"}`+"\n", profile, i)
	}
	return b.String()
}

func TestInitAndLearn(t *testing.T) {
	dir := learnedFolder(t)
	made := prepared.created
	if made["n"] != 20.0 || made["k"] != 5.0 || made["max_tokens"] != 32.0 || made["origin"] != "random" ||
		made["blocks"] != 6.0 || made["digits"].(float64) < 128 {
		t.Errorf("init: got %v, want N=20, k=5, L=6, 32 tokens, a random bank, and axes", made)
	}
	call(t, full, dir, "", "init", "--model", modelDir(t), "--labels", "a,b").want(t, exitExists)
	r := prepared.learned
	rows := r.rows(t)
	if r.code != exitInput || r.err != "" || len(rows) != 3 || rows[0]["profile"] != "alice" ||
		rows[1]["code"] != "input" || rows[2]["profile"] != "carol" {
		t.Fatalf("learn: got exit code %d and %v, want 8, and alice and carol learned\n%s", r.code, rows, r.err)
	}
	if rows[0]["revision"] != 1.0 || rows[0]["installed"] != true || rows[0]["macro_f1"] == nil {
		t.Errorf("learn: got %v, want revision 1, measured with nothing held out", rows[0])
	}
	if fares := rows[0]["labels"].([]any); len(fares) != 2 || fares[0].(map[string]any)["label"] != "urgent" ||
		fares[0].(map[string]any)["n"] != 6.0 {
		t.Errorf("learn: got %v, want six examples of urgent, then later", fares)
	}
	profile := call(t, full, dir, "", "show", "alice", "--json").want(t, exitOK).rows(t)[0]
	if profile["mask_bytes"] != 2*made["digits"].(float64)/8 || profile["bank"] != made["axes"] ||
		profile["rows"] != 2.0 || profile["head"] != "shared" || profile["stored_examples"] != 12.0 {
		t.Errorf("show: got %v, want two rows of digits along the axes, the shared head, 12 examples", profile)
	}
	if got, want := rows[0]["bytes"], profile["bytes"]; got != want {
		t.Errorf("learn: bytes: got %v, want %v, the stored record's", got, want)
	}
	call(t, full, dir, "", "check", "--deep").want(t, exitOK)
}

func TestPredictLines(t *testing.T) {
	dir := learnedFolder(t)
	in := `{"profile":"alice","text":"the server is down","label":"ignored"}` + "\n\n" +
		`{"text":"lunch?","pair":"today"}` + "\n" +
		`{"profile":"nobody","text":"hello"}` + "\n" + `{"profile":"carol","text":"the server is down"}` + "\n"
	r := call(t, full, dir, in, "predict", "--json")
	rows := r.rows(t)
	if r.code != exitNotFound || r.err != "" || len(rows) != 4 {
		t.Fatalf("predict: got exit code %d, %d rows, stderr %q, want 3, 4 and nothing", r.code, len(rows), r.err)
	}
	for i, want := range []map[string]any{
		{"line": 1.0, "profile": "alice", "source": "profile", "revision": 1.0},
		{"line": 3.0, "profile": "", "source": "base", "revision": 0.0, "pair": "today"},
		{"line": 4.0, "profile": "nobody", "code": "not_found"},
		{"line": 5.0, "profile": "carol", "source": "profile"},
	} {
		for field, v := range want {
			if diff := cmp.Diff(v, rows[i][field]); diff != "" {
				t.Errorf("predict: row %d: %s (-want +got):\n%s", i, field, diff)
			}
		}
	}
	sum := 0.0
	for _, p := range rows[0]["probabilities"].([]any) {
		sum += p.(map[string]any)["p"].(float64)
	}
	if sum < 0.999 || sum > 1.001 {
		t.Errorf("predict: probabilities add up to %g, want 1", sum)
	}
	// Lines before a bad one are answered.
	r = call(t, full, dir, `{"profile":"nobody","text":"hello"}`+"\n"+"{", "predict", "--fallback", "base",
		"--json").want(t, exitInput)
	if got := r.rows(t); len(got) != 1 || got[0]["source"] != "base" || !strings.Contains(r.err, "stdin:2: ") {
		t.Errorf("predict of a bad line: got %v and %q, want the base's answer, then the line's number", got, r.err)
	}
}

func TestPredictTexts(t *testing.T) {
	dir := learnedFolder(t)
	text := call(t, full, dir, "", "predict", "-p", "alice", "the server is down", "\tlunch?").want(t, exitOK).out
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if fields := strings.Split(lines[0], "\t"); len(lines) != 2 || len(fields) != 4 || fields[2] != "alice" ||
		fields[3] != "the server is down" {
		t.Errorf("predict: got %q, want two lines of label, probability, profile and text", text)
	}
	r := call(t, full, dir, "", "predict", "-p", "nobody", "hello").want(t, exitNotFound)
	if !strings.HasPrefix(r.err, "xpeft: text 1: ") {
		t.Errorf("predict for nobody: stderr: got %q, want the text's number", r.err)
	}
}

// TestTruncated: what the folder's 32 tokens do not hold is said to be cut off, in words and in
// JSON.
func TestTruncated(t *testing.T) {
	dir := learnedFolder(t)
	long := strings.Repeat("word ", 40)
	rows := call(t, full, dir, "", "predict", "--json", long, "word").want(t, exitOK).rows(t)
	if rows[0]["truncated"] != true || rows[1]["truncated"] != nil {
		t.Errorf("predict: got %v and %v, want true and no field", rows[0]["truncated"], rows[1]["truncated"])
	}
	if r := call(t, full, dir, "", "predict", long).want(t, exitOK); !strings.HasSuffix(r.out, "\t(cut off)\n") {
		t.Errorf("predict: got %q, want (cut off) behind it", r.out)
	}
	in := examples("dave", 4) + fmt.Sprintf(`{"profile":"dave","text":%q,"label":"later"}`+"\n", long)
	if r := call(t, full, dir, in, "learn", "--epochs", "1", "--json").want(t,
		exitOK).rows(t)[0]; r["truncated"] != 1.0 {
		t.Errorf("learn: got %v truncated, want 1", r["truncated"])
	}
}

func TestOwnLabelsAndNumbers(t *testing.T) {
	dir := learnedFolder(t)
	in := strings.ReplaceAll(strings.ReplaceAll(examples("dave", 4), `"urgent"`, `"ja"`), `"later"`, `"nein"`)
	row := call(t, full, dir, in, "learn", "--labels", "ja,nein", "--json", "--epochs", "1").want(t, exitOK).rows(t)[0]
	if row["installed"] != true {
		t.Errorf("learn --labels: got %v, want it installed", row)
	}
	var numbers strings.Builder
	for i := range 8 {
		fmt.Fprintf(&numbers, `{"text":"%d stars","value":%d.5}`+"\n", i, i)
	}
	call(t, full, dir, numbers.String(), "learn", "-p", "erin", "--json", "--epochs", "1").want(t, exitOK)
	rows := call(t, full, dir, "", "show", "dave", "erin", "--json").want(t, exitOK).rows(t)
	if rows[0]["head"] != "own" || rows[1]["head"] != "number" || len(rows[1]["labels"].([]any)) != 0 {
		t.Errorf("show: got heads %v and %v, want own and number", rows[0]["head"], rows[1]["head"])
	}
	answer := call(t, full, dir, "", "predict", "-p", "erin", "3 stars", "--json").want(t, exitOK).rows(t)[0]
	if _, ok := answer["value"].(float64); !ok || answer["label"] != nil {
		t.Errorf("predict: got %v, want a value and no label", answer)
	}
	// What show --examples prints is what learn reads.
	back := call(t, pure, dir, "", "show", "erin", "--examples").want(t, exitOK).out
	if !strings.Contains(back, `{"profile":"erin","text":"3 stars","value":3.5}`) {
		t.Errorf("show --examples: got %q, want the values", back)
	}
	a := &app{stdin: strings.NewReader(back)}
	if groups, err := a.readExamples(t.Context(), "-", ""); err != nil || len(groups) != 1 ||
		len(groups[0].lines) != 8 {
		t.Errorf("reading them again: got %v and %v, want 8 lines of one profile", groups, err)
	}
}

// inProcess is call without a process, which takes half a second to load libtorch: for what fails
// before the model is used.
func inProcess(t *testing.T, dir, stdin string, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	code := run(t.Context(), append([]string{"--dir", dir}, args...), strings.NewReader(stdin), &out, &errs)
	return result{out.String(), errs.String(), code}
}

func TestEngineExitCodes(t *testing.T) {
	dir, empty := learnedFolder(t), t.TempDir()
	other := otherModel(t)
	for args, code := range map[string]int{
		"learn":                                              exitInput, // no examples
		"predict --batch 0 x":                                exitUsage,
		"predict --fallback never x":                         exitUsage,
		"predict --device tpu x":                             exitUsage,
		"predict --pair x y z":                               exitUsage,
		"predict x --model " + other:                         exitMismatch,
		"predict x --model " + empty:                         exitError,
		"predict x --dir " + empty:                           exitNoStore,
		"learn --dir " + empty:                               exitNoStore,
		"init --dir " + empty + "/x --labels a":              exitUsage,
		"init --dir " + empty + "/x --labels a,a":            exitUsage,
		"init --dir " + empty + "/x --labels a,b --bank-n 0": exitUsage,
		"init --dir " + empty + "/x --labels a,b --bank-n 9 --bank-file f": exitUsage,
		"init --dir " + empty + "/x --labels a,b --model " + empty:         exitError,
	} {
		t.Run(args, func(t *testing.T) { inProcess(t, dir, "", strings.Fields(args)...).want(t, code) })
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		for _, entry := range left {
			if ok, err := folder.Exists(filepath.Join(empty, entry.Name())); ok || err != nil {
				t.Errorf("after a failed init: got a store in %s, want none", entry.Name())
			}
		}
	}
}

// otherModel is the same weights with another vocabulary.
func otherModel(t *testing.T) string {
	t.Helper()
	from, to := modelDir(t), t.TempDir()
	entries, err := os.ReadDir(from)
	must(t, err)
	for _, e := range entries {
		must(t, os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
	}
	for _, name := range []string{"tokenizer.json", "vocab.txt"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			continue
		}
		path := filepath.Join(to, name)
		must(t, os.Remove(path))
		must(t, os.WriteFile(path, []byte(strings.Replace(string(data), "lunch", "lunchx", 1)), 0o600))
	}
	return to
}

func TestEngineLocks(t *testing.T) {
	dir := learnedFolder(t)
	st, err := folder.Open(dir, nil)
	must(t, err)
	for _, args := range [][]string{{"learn"}, {"predict", "x"}} {
		inProcess(t, dir, examples("a", 3), append(args, "--lock-timeout", "20ms")...).want(t, exitLocked)
	}
	must(t, st.Close())
	st, err = folder.Open(dir, &store.Options{ReadOnly: true})
	must(t, err)
	defer st.Close()
	inProcess(t, dir, "", "predict", "x").want(t, exitOK)
	inProcess(t, dir, examples("a", 3), "learn", "--lock-timeout", "20ms").want(t, exitLocked)
}

// TestSignals stops a learn in training, and a predict that waits for its next line.
func TestSignals(t *testing.T) {
	dir := learnedFolder(t)
	learn := exec.Command(full, "learn", "--epochs", "100000", "--json")
	learn.Env = append(os.Environ(), "XPEFT_DIR="+dir)
	learn.Stdin = strings.NewReader(examples("fred", 20))
	var errs strings.Builder
	learn.Stderr = &errs
	must(t, learn.Start())
	time.Sleep(2 * time.Second)
	stop(t, learn, syscall.SIGINT, 130)
	if last := lastLine(errs.String()); !strings.Contains(last, `"code":"interrupted","exit":130`) {
		t.Errorf("stderr: got %q, want interrupted", last)
	}
	call(t, full, dir, "", "show", "fred").want(t, exitNotFound)

	predict := exec.Command(full, "predict", "--batch", "1", "--json")
	predict.Env = append(os.Environ(), "XPEFT_DIR="+dir)
	in, err := predict.StdinPipe()
	must(t, err)
	out, err := predict.StdoutPipe()
	must(t, err)
	must(t, predict.Start())
	_, err = in.Write([]byte(`{"text":"one"}` + "\n"))
	must(t, err)
	var row map[string]any
	must(t, json.NewDecoder(out).Decode(&row)) // the answer comes while stdin is open
	stop(t, predict, syscall.SIGTERM, 143)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return lines[len(lines)-1]
}

// TestAnswersMove: export, forget, import: the same answers, to the bit.
func TestAnswersMove(t *testing.T) {
	dir := learnedFolder(t)
	ask := func() string {
		return call(t, full, dir, "", "predict", "-p", "alice", "the server is down", "lunch?", "--json").want(t,
			exitOK).out
	}
	before := ask()
	bundle := filepath.Join(t.TempDir(), "b")
	call(t, pure, dir, "", "export", "alice", "-o", bundle).want(t, exitOK)
	call(t, pure, dir, "", "forget", "alice").want(t, exitOK)
	call(t, pure, dir, "", "import", bundle).want(t, exitOK)
	if diff := cmp.Diff(before, ask()); diff != "" {
		t.Errorf("answers after import (-before +after):\n%s", diff)
	}
}
