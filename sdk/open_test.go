package sdk

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
)

// copyModel copies the tiny model and changes one file of it.
func copyModel(t *testing.T, name string, change func([]byte) []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(tinyModel(t))); err != nil {
		t.Fatal(err)
	}
	if name == "" {
		return dir
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenAnotherModel(t *testing.T) {
	c := small(t)
	c.Model = copyModel(t, "", nil)
	p := create(t, c)
	mustLearn(t, p, "alice", examples(12, 0), quick())
	want := mustPredict(t, p, "alice", "server down")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	for _, m := range []struct {
		name, file string
		change     func([]byte) []byte
		want       error // nil: it opens
		what       string
	}{
		{"moved", "", nil, nil, ""},
		{"one bit of a weight", "model.safetensors", func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			ErrMismatch, "encoder"},
		{"another vocabulary", "vocab.txt", replace("discount", "rebate"), ErrMismatch, "tokenizer"},
		{"other heads", "config.json", replace(`"num_attention_heads":2`, `"num_attention_heads":4`),
			ErrMismatch, "encoder"},
		{"another epsilon", "config.json", replace(`"model_type"`, `"layer_norm_eps":1e-6,"model_type"`),
			ErrMismatch, "encoder"},
		{"another activation", "config.json", replace(`"model_type"`, `"hidden_act":"relu","model_type"`),
			ErrMismatch, "encoder"},
		{"another pooling", "1_Pooling/config.json", replace("pooling_mode_mean_tokens", "pooling_mode_cls_token"),
			ErrMismatch, "encoder"},
		{"what does not matter", "config.json", replace(`"model_type"`, `"architectures":["BertModel"],"model_type"`),
			nil, ""},
	} {
		t.Run(m.name, func(t *testing.T) {
			o := &Options{Model: copyModel(t, m.file, m.change), Threads: 1}
			for _, o.Verify = range []bool{false, true} {
				p, err := Open(context.Background(), p.dir, o)
				if m.want == nil && err == nil {
					if d := cmp.Diff(want, mustPredict(t, p, "alice", "server down")); d != "" {
						t.Errorf("(-want +got):\n%s", d)
					}
					closeClean(t, p)
					continue
				}
				if wantError(t, "Open", err, m.want); m.want == nil {
					continue
				}
				wantError(t, "Open", err, ErrMismatch)
				if !strings.Contains(err.Error(), m.what) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %q, want one line that names the %s", err, m.what)
				}
			}
		})
	}
	if err := os.RemoveAll(c.Model); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), p.dir, nil)
	if wantError(t, "without its model", err, fs.ErrNotExist); err != nil && !strings.Contains(err.Error(), c.Model) {
		t.Errorf("got %v, want it to name %s", err, c.Model)
	}
}

func TestReadOnly(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(12, 0), quick())
	want := mustPredict(t, p, "alice", "server down")
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	soon := &Options{Timeout: 50 * time.Millisecond, Threads: 1}
	_, err := Open(ctx, p.dir, soon)
	wantError(t, "a second Open", err, ErrLocked)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	o := &Options{ReadOnly: true, Threads: 1}
	a, b := open(t, p.dir, o), open(t, p.dir, o)
	_, err = Open(ctx, p.dir, soon)
	wantError(t, "Open beside readers", err, ErrLocked)
	for _, r := range []*Folder{a, b} {
		if d := cmp.Diff(want, mustPredict(t, r, "alice", "server down")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		o := quick()
		o.Progress = func(step, steps int, loss float32) { t.Error("a Learn trains that cannot be stored") }
		_, err := r.Learn(ctx, "alice", examples(12, 0), o)
		wantError(t, "Learn", err, ErrReadOnly)
		_, err = r.Import(ctx, bytes.NewReader(bundle.Bytes()), &ImportOptions{Policy: Overwrite})
		wantError(t, "Import", err, ErrReadOnly)
		wantError(t, "Forget", r.Forget(ctx, "alice"), ErrReadOnly)
		_, err = r.TrainHead(ctx, nil)
		wantError(t, "TrainHead", err, ErrReadOnly)
		if n, err := r.Export(ctx, new(bytes.Buffer), nil); n != 1 || err != nil {
			t.Errorf("export: got %d profiles and %v, want 1", n, err)
		}
		if _, err := r.Stats(ctx); err != nil {
			t.Error(err)
		}
	}
}

// TestDamagedFolder opens what has lost a part: an error that says so, and never "not found", which
// a fallback would hide.
func TestDamagedFolder(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Bank = warm(t, 2, 4, 1)
	p := create(t, c)
	mustLearn(t, p, "alice", examples(12, 0), forced())
	info, err := p.store.Bank(1)
	if err != nil {
		t.Fatal(err)
	}
	path := folder.BankPath(p.dir, info.Digest)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		name   string
		damage func() error
		want   error
	}{
		{"no bank file", func() error { return os.Remove(path) }, fs.ErrNotExist},
		{"a damaged header", func() error { return os.WriteFile(path, append([]byte("?"), whole[1:]...), 0o666) },
			ErrCorrupt},
		{"damaged adapters", func() error {
			bad := bytes.Clone(whole)
			for i := len(bad) / 2; i < len(bad); i++ {
				bad[i] ^= 1
			}
			return os.WriteFile(path, bad, 0o666)
		}, ErrCorrupt},
	} {
		t.Run(d.name, func(t *testing.T) {
			os.Remove(path) // a new file: the old one may be mapped
			if err := os.WriteFile(path, whole, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := d.damage(); err != nil {
				t.Fatal(err)
			}
			p, err := Open(ctx, p.dir, &Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			out, err := p.PredictBatch(ctx,
				[]Request{{Profile: "alice", Text: "server", Fallback: FallbackBase}, {Base: true, Text: "server"}})
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, "alice's row", out[0].Err, d.want)
			if out[1].Err != nil || out[1].Label == "" {
				t.Errorf("got %+v for the base's row, want an answer", out[1])
			}
			rep, err := p.Check(ctx, &CheckOptions{Deep: true})
			wantError(t, "Check", err, ErrCorrupt)
			if len(rep.Problems) == 0 {
				t.Error("got no problems, want the bank's")
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			checkFreed(t, p)
		})
	}
}
