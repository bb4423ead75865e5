package model

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// miniConfig is the smallest model with every part: 2 blocks, 2 heads.
const miniConfig = `{"model_type":"bert","vocab_size":20,"hidden_size":4,"num_hidden_layers":2,"num_attention_heads":2,` +
	`"intermediate_size":6,"hidden_act":"gelu","max_position_embeddings":8,"type_vocab_size":2,"layer_norm_eps":1e-12}`

// miniWeights returns the tensors of miniConfig, F32, each byte a different one from its
// neighbours.
func miniWeights(tb testing.TB, pooler bool) map[string]safetensors.Tensor {
	tb.Helper()
	dir := tb.TempDir()
	writeFile(tb, dir, "config.json", miniConfig)
	c, err := ReadConfig(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tensors := map[string]safetensors.Tensor{}
	for i, w := range expectedWeights(c, pooler) {
		n := int64(4)
		for _, d := range w.shape {
			n *= d
		}
		data := make([]byte, n)
		for j := range data {
			data[j] = byte(i+j) & 0x3f // finite in every type
		}
		tensors[w.name] = safetensors.Tensor{Name: w.name, DType: "F32", Shape: w.shape, Data: data}
	}
	return tensors
}

func encodeWeights(tb testing.TB, tensors map[string]safetensors.Tensor) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, slices.Collect(maps.Values(tensors)), nil); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// miniDir writes a model folder.
func miniDir(tb testing.TB, tensors map[string]safetensors.Tensor) string {
	tb.Helper()
	dir := tb.TempDir()
	writeFile(tb, dir, "config.json", miniConfig)
	writeFile(tb, dir, "model.safetensors", string(encodeWeights(tb, tensors)))
	return dir
}

// renamed gives every tensor another name.
func renamed(tensors map[string]safetensors.Tensor, to func(string) string) map[string]safetensors.Tensor {
	out := map[string]safetensors.Tensor{}
	for name, t := range tensors {
		t.Name = to(name)
		out[t.Name] = t
	}
	return out
}

// TestCheckpointNames: each spelling of the names gives the same weights and CRCs.
func TestCheckpointNames(t *testing.T) {
	plain := miniWeights(t, true)
	oldNorms := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta")
	var want []uint32
	for _, c := range []struct {
		name string
		to   func(string) string
	}{
		{"plain", func(s string) string { return s }},
		{"bert.", func(s string) string { return "bert." + s }},
		{"gamma and beta", oldNorms.Replace},
	} {
		t.Run(c.name, func(t *testing.T) {
			tensors := renamed(plain, c.to)
			extra := c.to("embeddings.position_ids")
			tensors[extra] = safetensors.Tensor{Name: extra, DType: "I64", Shape: []int64{1}, Data: make([]byte, 8)}
			ckpt, err := OpenCheckpoint(miniDir(t, tensors))
			if err != nil {
				t.Fatal(err)
			}
			defer ckpt.Close()
			names := ckpt.Names()
			if len(names) != 5+2*16+2 || !ckpt.pooler || ckpt.Pooling != PoolPooler {
				t.Errorf("got %d weights, pooler %t, pooling %s, want 39, true, pooler", len(names), ckpt.pooler,
					ckpt.Pooling)
			}
			for _, name := range names {
				got, err := ckpt.Tensor(name)
				if err != nil || !bytes.Equal(got.Data, plain[name].Data) {
					t.Errorf("%s: got other bytes, %v", name, err)
				}
			}
			if want == nil {
				want = mustCRCs(t, ckpt)
			}
			if got := mustCRCs(t, ckpt); !slices.Equal(got, want) {
				t.Errorf("CRCs: got %x, want %x", got, want)
			}
			if _, err := ckpt.Tensor("absent"); !errors.Is(err, ErrCheckpoint) {
				t.Errorf("absent: got %v, want ErrCheckpoint", err)
			}
		})
	}
}

func TestCheckpointDTypes(t *testing.T) {
	for _, dtype := range []string{"F16", "BF16"} {
		tensors := miniWeights(t, false)
		for name, x := range tensors {
			x.DType, x.Data = dtype, x.Data[:len(x.Data)/2]
			tensors[name] = x
		}
		ckpt, err := OpenCheckpoint(miniDir(t, tensors))
		if err != nil {
			t.Fatalf("%s: %v", dtype, err)
		}
		if ckpt.Pooling != PoolCLS {
			t.Errorf("without pooler: got %s, want cls", ckpt.Pooling)
		}
		ckpt.Close()
	}
}

func TestCheckpointErrors(t *testing.T) {
	const victim = "encoder.layer.1.attention.self.key.weight"
	cases := []struct {
		name   string
		change func(m map[string]safetensors.Tensor)
		want   []string
	}{
		{"missing", func(m map[string]safetensors.Tensor) { delete(m, victim) }, []string{victim, "[4 4]"}},
		{"no embeddings", func(m map[string]safetensors.Tensor) { delete(m, "embeddings.word_embeddings.weight") },
			[]string{"word_embeddings", "[20 4]"}},
		{"shape", func(m map[string]safetensors.Tensor) {
			m[victim] = safetensors.Tensor{Name: victim, DType: "F32", Shape: []int64{2, 8}, Data: make([]byte, 64)}
		}, []string{victim, "[2 8]", "[4 4]"}},
		{"dtype", func(m map[string]safetensors.Tensor) {
			m[victim] = safetensors.Tensor{Name: victim, DType: "I8", Shape: []int64{4, 4}, Data: make([]byte, 16)}
		}, []string{victim, "I8"}},
		{"both prefixes", func(m map[string]safetensors.Tensor) {
			x := m["embeddings.word_embeddings.weight"]
			x.Name = "bert." + x.Name
			m[x.Name] = x
		}, []string{"with and without"}},
		{"both norms", func(m map[string]safetensors.Tensor) {
			x := m["embeddings.LayerNorm.bias"]
			x.Name = "embeddings.LayerNorm.beta"
			m[x.Name] = x
		}, []string{"LayerNorm.beta", "LayerNorm.bias"}},
		{"half a pooler", func(m map[string]safetensors.Tensor) { delete(m, "pooler.dense.bias") },
			[]string{"pooler.dense.bias"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tensors := miniWeights(t, true)
			c.change(tensors)
			_, err := OpenCheckpoint(miniDir(t, tensors))
			if !errors.Is(err, ErrCheckpoint) {
				t.Fatalf("got %v, want ErrCheckpoint", err)
			}
			for _, text := range c.want {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want it to name %s", err, text)
				}
			}
		})
	}
}

// TestCheckpointFile cuts the weights file at every byte of its header and some of its data.
func TestCheckpointFile(t *testing.T) {
	whole := encodeWeights(t, miniWeights(t, true))
	dir := t.TempDir()
	writeFile(t, dir, "config.json", miniConfig)
	for n := 0; n < len(whole); n += 1 + n/512 {
		writeFile(t, dir, "model.safetensors", string(whole[:n]))
		if _, err := OpenCheckpoint(dir); !errors.Is(err, ErrCheckpoint) || !errors.Is(err, safetensors.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: got %v, want ErrCheckpoint and ErrCorrupt", n, err)
		}
	}
	// A header that claims more than the file has.
	writeFile(t, dir, "model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}")
	if _, err := OpenCheckpoint(dir); !errors.Is(err, safetensors.ErrCorrupt) {
		t.Errorf("header length: got %v, want ErrCorrupt", err)
	}
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCheckpoint(dir); !errors.Is(err, ErrCheckpoint) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no weights: got %v, want ErrCheckpoint and ErrNotExist", err)
	}
	writeFile(t, dir, "pytorch_model.bin", "")
	if _, err := OpenCheckpoint(dir); !errors.Is(err, ErrUnsupported) ||
		!strings.Contains(err.Error(), "pytorch_model.bin") {
		t.Errorf("pickle: got %v, want ErrUnsupported naming it", err)
	}
}

// TestCheckpointCheck flips a bit in each weight: that weight's check fails, the digest changes.
func TestCheckpointCheck(t *testing.T) {
	dir := miniDir(t, miniWeights(t, true))
	whole, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	ckpt, err := OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	crcs, digest := mustCRCs(t, ckpt), ckpt.Digest()
	for i := range crcs {
		if err := ckpt.Check(i, crcs[i]); err != nil {
			t.Error(err)
		}
	}
	if err := ckpt.Check(len(crcs), 0); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("no such weight: got %v, want ErrCheckpoint", err)
	}
	for range 2 {
		if err := ckpt.Close(); err != nil {
			t.Error(err)
		}
	}
	whole[len(whole)-1] ^= 1
	writeFile(t, dir, "model.safetensors", string(whole))
	if ckpt, err = OpenCheckpoint(dir); err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	var bad []string
	for i, name := range ckpt.Names() {
		if err := ckpt.Check(i, crcs[i]); err != nil {
			bad = append(bad, name)
			if !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want ErrCheckpoint naming %s", err, name)
			}
		}
	}
	if len(bad) != 1 || ckpt.Digest() == digest {
		t.Errorf("one bit: got %q changed, digest kept: %t, want one weight and another digest",
			bad, ckpt.Digest() == digest)
	}
}

// TestCheckpointDigest: what changes the output changes the digest, what does not keeps it.
func TestCheckpointDigest(t *testing.T) {
	weights := miniWeights(t, true)
	digest := func(config, pooling string) [32]byte {
		dir := miniDir(t, weights)
		writeFile(t, dir, "config.json", config)
		if pooling != "" {
			writeFile(t, dir, "1_Pooling/config.json", pooling)
		}
		ckpt, err := OpenCheckpoint(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ckpt.Close()
		return ckpt.Digest()
	}
	want := digest(miniConfig, "")
	for _, c := range []struct {
		name, old, new, pooling string
		same                    bool
	}{
		{"dropout", `{`, `{"hidden_dropout_prob":0.1,`, "", true},
		{"activation", `"gelu"`, `"relu"`, "", false},
		{"epsilon", `1e-12`, `1e-5`, "", false},
		{"heads", `"num_attention_heads":2`, `"num_attention_heads":4`, "", false},
		{"pooling", ``, ``, `{"pooling_mode_mean_tokens":true}`, false},
	} {
		if got := digest(strings.Replace(miniConfig, c.old, c.new, 1), c.pooling) == want; got != c.same {
			t.Errorf("%s: same digest: got %t, want %t", c.name, got, c.same)
		}
	}
}

func TestCheckTokenizer(t *testing.T) {
	ckpt, err := OpenCheckpoint(miniDir(t, miniWeights(t, false)))
	if err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	if err := ckpt.CheckTokenizer(smallTokenizer(t, "")); err != nil {
		t.Error(err)
	}
	err = ckpt.CheckTokenizer(smallTokenizer(t, `{"added_tokens_decoder":{"20":{"content":"x"}}}`))
	if !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), "20") {
		t.Errorf("id 20 of 20: got %v, want ErrCheckpoint", err)
	}
}

func TestRealCheckpoint(t *testing.T) {
	ckpt, err := OpenCheckpoint(modelDir(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ckpt.Close()
	if err := ckpt.CheckTokenizer(realTokenizer(t)); err != nil {
		t.Error(err)
	}
	if got := len(ckpt.Names()); got != 5+6*16+2 || ckpt.Pooling != PoolMean || ckpt.Config.HiddenSize != 384 {
		t.Errorf("got %d weights, pooling %s, hidden size %d, want 103, mean, 384", got, ckpt.Pooling,
			ckpt.Config.HiddenSize)
	}
	words, err := ckpt.Tensor("embeddings.word_embeddings.weight")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mustCRCs(t, ckpt)[0], crc32.Checksum(words.Data, crc32.MakeTable(crc32.Castagnoli)); got != want {
		t.Errorf("first CRC: got %08x, want %08x", got, want)
	}
}

func mustCRCs(t *testing.T, c *Checkpoint) []uint32 {
	t.Helper()
	crcs, err := c.CRCs()
	if err != nil {
		t.Fatal(err)
	}
	return crcs
}

// TestCheckpointNotFinite puts a NaN or an Inf into each weight, in each type: CRCs and Check name
// it.
func TestCheckpointNotFinite(t *testing.T) {
	bad := map[string][]byte{"F32": {0, 0, 0x80, 0xff}, "F16": {1, 0x7c}, "BF16": {0xff, 0xff}}
	plain := miniWeights(t, true)
	for name := range plain {
		for dtype, value := range bad {
			tensors := maps.Clone(plain)
			w := tensors[name]
			n := w.Len()
			w.DType, w.Data = dtype, make([]byte, n*len(value))
			at := (n - 1) / 2
			copy(w.Data[at*len(value):], value)
			tensors[name] = w
			ckpt, err := OpenCheckpoint(miniDir(t, tensors))
			if err != nil {
				t.Fatal(err)
			}
			_, err = ckpt.CRCs()
			i := slices.Index(ckpt.Names(), name)
			crc := crc32.Checksum(w.Data, crc32.MakeTable(crc32.Castagnoli)) // a right one
			for what, err := range map[string]error{"CRCs": err, "Check": ckpt.Check(i, crc)} {
				want := fmt.Sprintf("tensor %q: value %d of %d is not finite", name, at, n)
				if !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s of %s: got %v, want ErrCheckpoint: %s", what, dtype, err, want)
				}
			}
			ckpt.Close()
		}
	}
}
