package model

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// realFolder links the real model's files into a new folder, without those in skip, and writes
// files beside them or in their place.
func realFolder(tb testing.TB, skip []string, files map[string]string) string {
	tb.Helper()
	dir, from := tb.TempDir(), modelDir(tb)
	entries, err := os.ReadDir(from)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := files[e.Name()]; ok || slices.Contains(skip, e.Name()) {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			tb.Fatal(err)
		}
	}
	for name, text := range files {
		writeFile(tb, dir, name, text)
	}
	return dir
}

func readReal(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(modelDir(tb), name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// realConfig is the real config.json with other fields.
func realConfig(tb testing.TB, change map[string]any) string {
	tb.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(readReal(tb, "config.json")), &fields); err != nil {
		tb.Fatal(err)
	}
	maps.Copy(fields, change)
	b, err := json.Marshal(fields)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// tokenizerFiles are those that a folder with vocab.txt alone lacks.
var tokenizerFiles = []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}

// openFolder opens all of a folder, as the SDK does.
func openFolder(dir string) error {
	ckpt, err := OpenCheckpoint(dir)
	if err != nil {
		return err
	}
	defer ckpt.Close()
	tok, err := LoadTokenizer(dir)
	if err != nil {
		return err
	}
	return ckpt.CheckTokenizer(tok)
}

// TestFoldersRefused: a folder that is more, or less, than a plain BERT is refused in words that
// say what it is.
func TestFoldersRefused(t *testing.T) {
	vocab := readReal(t, "vocab.txt")
	cased := strings.Replace(strings.Replace(vocab, "[unused1]\n", "Apple\n", 1), "[unused2]\n", "Paris\n", 1)
	weights := readReal(t, "model.safetensors")
	cases := []struct {
		name  string
		skip  []string
		files map[string]string
		want  error
		texts []string
	}{
		{"Japanese", tokenizerFiles, map[string]string{
			"config.json":           realConfig(t, map[string]any{"tokenizer_class": "BertJapaneseTokenizer"}),
			"tokenizer_config.json": `{"do_lower_case":false,"word_tokenizer_type":"mecab","subword_tokenizer_type":"character","model_max_length":512}`,
		}, ErrUnsupported, []string{"config.json", "tokenizer_class", "BertJapaneseTokenizer"}},
		{"cased without a config", tokenizerFiles, map[string]string{"vocab.txt": cased}, ErrUnsupported,
			[]string{"vocab.txt", `"Apple"`, "do_lower_case"}},
		{"one type", nil, map[string]string{"config.json": realConfig(t, map[string]any{"type_vocab_size": 1})},
			ErrUnsupported, []string{"config.json", "type_vocab_size"}},
		{"Git LFS pointer", nil, map[string]string{"model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0", 64) + "\nsize 90868376\n"},
			ErrCheckpoint, []string{"model.safetensors", "Git LFS pointer", "git lfs pull"}},
		{"vocabulary as pointer", nil,
			map[string]string{"tokenizer.json": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize " +
				"466247\n"},
			ErrTokenizer, []string{"tokenizer.json", "Git LFS pointer"}},
		{"HTML", nil, map[string]string{"model.safetensors": "<!DOCTYPE html><html><body>403 " +
			"Forbidden</body></html>"}, ErrCheckpoint, []string{"HTML page", "download"}},
		{"config as HTML", nil, map[string]string{"config.json": "\n<HTML>"}, ErrCheckpoint,
			[]string{"config.json", "HTML page"}},
		{"cut off", nil, map[string]string{"model.safetensors": weights[:1<<20]}, ErrCheckpoint,
			[]string{"cut off", "download it again"}},
		{"cut off in its header", nil, map[string]string{"model.safetensors": weights[:100]}, ErrCheckpoint,
			[]string{"cut off", "download it again"}},
		{"empty", nil, map[string]string{"model.safetensors": ""}, ErrCheckpoint,
			[]string{"empty", "download it again"}},
		{"a server's words", nil, map[string]string{"model.safetensors": "Invalid username or password."},
			ErrCheckpoint, []string{"text, not weights", "Invalid username"}},
		{"zeros", nil, map[string]string{"model.safetensors": strings.Repeat("\x00", 4096)}, ErrCheckpoint,
			[]string{"zeros", "download"}},
		{"pickle", nil, map[string]string{"model.safetensors": "PK\x03\x04\x00\x00\x08\x08"}, ErrCheckpoint,
			[]string{"PyTorch", "safetensors"}},
		{"shards", []string{"model.safetensors"}, map[string]string{"model.safetensors.index.json": "{}"},
			ErrUnsupported, []string{"several files", "max_shard_size"}},
		{"PyTorch", []string{"model.safetensors"}, map[string]string{"pytorch_model.bin": ""}, ErrUnsupported,
			[]string{"pytorch_model.bin", "save_pretrained"}},
		{"ONNX", []string{"model.safetensors"}, map[string]string{"onnx/model.onnx": ""}, ErrUnsupported,
			[]string{"onnx/model.onnx"}},
		{"PEFT", nil, map[string]string{"adapter_config.json": `{"peft_type":"LORA"}`}, ErrUnsupported,
			[]string{"adapter_config.json", "LORA"}},
		{"Dense", nil, map[string]string{"modules.json": strings.Replace(readReal(t, "modules.json"),
			"models.Normalize", "models.Dense", 1)},
			ErrUnsupported, []string{"modules.json", "sentence_transformers.models.Dense"}},
		{"quantized", nil, map[string]string{"config.json": realConfig(t,
			map[string]any{"quantization_config": map[string]any{"bits": 4}})}, ErrUnsupported,
			[]string{"quantization_config"}},
		{"own code", nil, map[string]string{"config.json": realConfig(t,
			map[string]any{"auto_map": map[string]any{"AutoModel": "m.M"}})}, ErrUnsupported, []string{"auto_map"}},
		{"pruned", nil, map[string]string{"config.json": realConfig(t,
			map[string]any{"pruned_heads": map[string]any{"0": []int{1}}})}, ErrUnsupported, []string{"pruned_heads"}},
		{"another vocab.txt", nil, map[string]string{"vocab.txt": strings.Replace(vocab, "[unused1]\n", "apfel\n",
			1)}, ErrUnsupported, []string{"vocab.txt", "tokenizer.json", `"apfel"`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := openFolder(realFolder(t, c.skip, c.files))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			for _, text := range c.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want it to name %s", err, text)
				}
			}
		})
	}
}

// TestSpecialMapFolder: a folder whose special tokens are named in special_tokens_map.json alone.
func TestSpecialMapFolder(t *testing.T) {
	vocab := strings.Replace(strings.Replace(readReal(t, "vocab.txt"), "[unused1]\n", "<s>\n", 1), "[unused2]\n",
		"</s>\n", 1)
	tok, err := LoadTokenizer(realFolder(t, tokenizerFiles,
		map[string]string{"vocab.txt": vocab,
			"special_tokens_map.json": `{"cls_token":"<s>","sep_token":{"content":"</s>"}}`}))
	if err != nil {
		t.Fatal(err)
	}
	var got Encoding
	tok.Encode(&got, "hello </s>", "", 0)
	if diff := cmp.Diff([]int32{2, 7592, 3, 3}, got.IDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBlankLines: blank lines behind a vocabulary's last token are none, with any line ends, and
// the tokenizer is the same.
func TestBlankLines(t *testing.T) {
	want := realTokenizer(t)
	vocab := readReal(t, "vocab.txt")
	for name, text := range map[string]string{
		"one": vocab + "\n", "three": vocab + "\n\n \n", "CRLF": strings.ReplaceAll(vocab, "\n", "\r\n") + "\r\n",
		"no line end": strings.TrimSpace(vocab),
	} {
		t.Run(name, func(t *testing.T) {
			dir := realFolder(t, tokenizerFiles, map[string]string{"vocab.txt": text})
			if err := openFolder(dir); err != nil {
				t.Fatal(err)
			}
			tok, err := LoadTokenizer(dir)
			if err != nil {
				t.Fatal(err)
			}
			if tok.VocabSize() != want.VocabSize() || tok.Digest(128) != want.Digest(128) {
				t.Errorf("got %d tokens, same digest: %t, want %d and true", tok.VocabSize(),
					tok.Digest(128) == want.Digest(128), want.VocabSize())
			}
		})
	}
}

// TestOneType: a model of one token type opens, and says that it reads no pairs.
func TestOneType(t *testing.T) {
	tensors := miniWeights(t, true)
	types := tensors[typesName]
	types.Shape, types.Data = []int64{1, 4}, types.Data[:16]
	tensors[typesName] = types
	dir := miniDir(t, tensors)
	writeFile(t, dir, "config.json", strings.Replace(miniConfig, `"type_vocab_size":2`, `"type_vocab_size":1`, 1))
	ckpt, err := OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	if ckpt.Config.Pairs() || !(Config{TypeVocabSize: 2}).Pairs() {
		t.Error("got pairs with one type, or none with two, want the reverse")
	}
}
