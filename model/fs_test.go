package model

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/xpeft/xpeft/internal/golden"
)

// mapFS has the files of a folder.
func mapFS(t testing.TB, dir string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestFS: a model in any file system is the model in a folder, to the bit.
func TestFS(t *testing.T) {
	dir := tiny{L: 2, H: 20, heads: 2, act: "gelu", pooler: true, pooling: "cls_token"}.writeF32(t)
	writeFile(t, dir, "vocab.txt", lowerVocab)
	writeFile(t, dir, "modules.json",
		`[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"1_Pooling/","type":"sentence_transformers.models.Pooling"}]`)
	writeFile(t, dir, "special_tokens_map.json", `{"cls_token":"<s>","sep_token":{"content":"</s>"}}`)
	plain, err := OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	digest := plain.Digest()
	plain.Close()
	tok, err := LoadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := bare(t, openEncoder(t, dir), tinyTexts)
	for name, fsys := range map[string]fs.FS{"a map": mapFS(t, dir), "os.DirFS": os.DirFS(dir)} {
		c, err := OpenCheckpointFS(fsys)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Digest() != digest || c.Pooling != PoolCLS {
			t.Errorf("%s: got digest %x, pooling %v, want %x, cls", name, c.Digest(), c.Pooling, digest)
		}
		enc, err := NewEncoder(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.Equal(bare(t, enc, tinyTexts), want) {
			t.Errorf("%s: got other vectors", name)
		}
		if err := enc.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		other, err := LoadTokenizerFS(fsys)
		if err != nil || other.Digest(64) != tok.Digest(64) {
			t.Errorf("%s: got another tokenizer (%v)", name, err)
		}
	}
}

// TestRealFS: the real model out of memory is the one that is mapped.
func TestRealFS(t *testing.T) {
	dir := golden.Model(t)
	c, err := OpenCheckpointFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	enc, err := NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	if !slices.Equal(bare(t, enc, tinyTexts), bare(t, openEncoder(t, dir), tinyTexts)) {
		t.Error("got other vectors")
	}
}

// TestFSRefuses: the errors of a file system name the file and what is wrong, as a folder's do.
func TestFSRefuses(t *testing.T) {
	good := mapFS(t, tinyDefault.writeF32(t))
	good["vocab.txt"] = &fstest.MapFile{Data: []byte(lowerVocab)}
	weights := good["model.safetensors"].Data
	for name, c := range map[string]struct {
		file string // "" for one that is gone
		data []byte
		gone string
		want error
		text string
	}{
		"no config":  {gone: "config.json", want: fs.ErrNotExist, text: "config.json"},
		"no weights": {gone: "model.safetensors", want: fs.ErrNotExist, text: "model.safetensors"},
		"other weights": {gone: "model.safetensors", file: "onnx/model.onnx", want: ErrUnsupported,
			text: "onnx/model.onnx"},
		"cut off": {file: "model.safetensors", data: weights[:len(weights)-1], want: ErrCheckpoint,
			text: "model.safetensors"},
		"a pointer": {file: "model.safetensors", data: []byte("version https://git-lfs.github.com/spec/v1\n"),
			want: ErrCheckpoint, text: "Git LFS"},
		"PEFT": {file: "adapter_config.json", data: []byte(`{"peft_type":"LORA"}`), want: ErrUnsupported,
			text: "adapter_config.json"},
		"large config": {file: "config.json", data: bytes.Repeat([]byte(" "), maxConfigFile+1),
			want: ErrCheckpoint, text: "config.json: more than"},
		"no vocabulary":   {gone: "vocab.txt", want: fs.ErrNotExist, text: "neither tokenizer.json nor vocab.txt"},
		"SentencePiece":   {file: "spiece.model", want: ErrUnsupported, text: "spiece.model"},
		"vocabulary ends": {file: "vocab.txt", data: []byte("\xff"), want: ErrTokenizer, text: "vocab.txt: not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, f := range good {
				if name != c.gone {
					files[name] = f
				}
			}
			if c.file != "" {
				files[c.file] = &fstest.MapFile{Data: c.data}
			}
			ckpt, err := OpenCheckpointFS(files)
			if err == nil {
				defer ckpt.Close()
				_, err = LoadTokenizerFS(files)
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

// TestFolderErrors have the whole path.
func TestFolderErrors(t *testing.T) {
	dir := t.TempDir()
	_, checkpoint := OpenCheckpoint(dir)
	_, tokenizer := LoadTokenizer(dir)
	for _, err := range []error{checkpoint, tokenizer} {
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v, want an error with %s", err, dir)
		}
	}
}
