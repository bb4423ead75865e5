package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// pure is the binary built without cgo, full the one that is built as this test is: with cgo, and
// with libtorch's engine under -tags torch.
var pure, full string

// TestMain builds the program once, as users do: what is tested are its exit codes and its output.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "xpeft-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	pure = build(filepath.Join(dir, "pure"), []string{"CGO_ENABLED=0"})
	var tags []string
	if slices.Contains(sdk.Engines(), "torch") {
		tags = []string{"-tags", "torch"}
	}
	full = build(filepath.Join(dir, "full"), nil, tags...)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(path string, env []string, tags ...string) string {
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", path}, tags, []string{"."})...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v go build: %v\n%s", env, err, out)
		os.Exit(1)
	}
	return path
}

// builds are the binaries that every offline command is tested with.
func builds() map[string]string {
	return map[string]string{"pure": pure, "full": full}
}

// result of one run of a binary.
type result struct {
	out, err string
	code     int
}

// call runs a binary on a folder. No variable of the caller's shell changes what it does.
func call(t *testing.T, binary, dir, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "XPEFT_DIR="+dir)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// want checks the exit code, and that what is on stderr is one line, or nothing.
func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code: got %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	lines := strings.Count(r.err, "\n")
	if code == exitOK && r.err != "" || code != exitOK && lines != 1 {
		t.Errorf("stderr: got %q, want one line with an error and none without", r.err)
	}
	return r
}

// rows decodes the JSON lines of stdout.
func (r result) rows(t *testing.T) (rows []map[string]any) {
	t.Helper()
	for _, text := range strings.Split(strings.TrimSuffix(r.out, "\n"), "\n") {
		var row map[string]any
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatalf("stdout: got %q, want a JSON object: %v", text, err)
		}
		rows = append(rows, row)
	}
	return rows
}

var testLabels = []string{"urgent", "later", "ignore"}

// newFolder makes a folder as init does, but of a model that does not exist: the offline commands
// must not miss it.
func newFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx := t.Context()
	st, err := store.Create(folder.DB(dir), store.Meta{
		Model: "/nowhere", Encoder: store.Digest{1}, Tokenizer: store.Digest{2}, MaxTokens: 64,
		Extra: map[string]string{folder.ExtraK: "3"},
	}, &store.Options{NoSync: true})
	must(t, err)
	info, err := folder.RandomInfo(bank.Properties{Origin: bank.Random, N: 10, Blocks: 2, Hidden: 32, Bottleneck: 4,
		NormB: true, Seed: 7, SigmaA: 0.03, SigmaB: 0.05})
	must(t, err)
	_, err = st.PutBank(ctx, info)
	must(t, err)
	_, _, err = st.PutHead(ctx, encodeHead(t, testLabels...))
	must(t, err)
	must(t, st.Close())
	return dir
}

func encodeHead(t *testing.T, labels ...string) []byte {
	t.Helper()
	h := model.Head{Labels: labels, Hidden: 32}
	h.W, h.B, h.Counts = make([]float32, h.Outputs()*32), make([]float32, h.Outputs()), make([]uint32, h.Outputs())
	data, err := h.MarshalBinary()
	must(t, err)
	return data
}

// fill puts profiles into a folder; one whose id ends in "own" gets a head of its own.
func fill(t *testing.T, dir string, ids ...string) {
	t.Helper()
	st, err := folder.Open(dir, &store.Options{NoSync: true})
	must(t, err)
	defer func() { must(t, st.Close()) }()
	for i, id := range ids {
		p := &store.Profile{ID: id, Bank: 1, Head: 1, Mask: testMask(t, i), Prior: []uint32{2, 1, 0}, Examples: 3,
			Before: 0.25, After: 0.75}
		if strings.HasSuffix(id, "own") {
			p.Head, p.Prior, p.OwnHead = 0, nil, encodeHead(t, "yes", "no")
		}
		_, err := st.Put(t.Context(), p, store.Write{State: []byte("logits"), Append: []store.Example{
			{Text: "the server is down", Label: "urgent"}, {Text: "lunch?", Pair: "<on friday>", Label: "later"},
		}})
		must(t, err)
	}
}

func testMask(t *testing.T, seed int) *bitmask.Mask {
	t.Helper()
	m, err := bitmask.New(10, 3, 2)
	must(t, err)
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		for block := range 2 {
			for i := range 3 {
				m.Row(side, block).Set((seed + int(side) + block + 3*i) % 10)
			}
		}
	}
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// repository is the folder of the module.
func repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
