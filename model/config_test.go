package model

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadConfig(t *testing.T) {
	got, err := ReadConfig(modelDir(t))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{ModelType: "bert", Architectures: []string{"BertModel"}, VocabSize: 30522, HiddenSize: 384,
		NumHiddenLayers: 6, NumAttentionHeads: 12,
		IntermediateSize: 1536, HiddenAct: "gelu", MaxPositionEmbeddings: 512, TypeVocabSize: 2, LayerNormEps: 1e-12,
		PositionEmbeddingType: "absolute"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConfigCases(t *testing.T) {
	cases := []struct {
		name, old, new string // a replacement in miniConfig
		want           error
		text           string
	}{
		{"as it is", ``, ``, nil, ""},
		{"defaults", `"hidden_act":"gelu",`, ``, nil, ""},
		{"no model_type", `"model_type":"bert",`, ``, nil, ""},
		{"gelu_new", `"gelu"`, `"gelu_new"`, nil, ""},
		{"roberta", `"model_type":"bert"`, `"model_type":"roberta","pad_token_id":0`, nil, ""},
		{"roberta without positions", `"bert"`, `"roberta"`, nil, ""},
		{"distilbert without its names", `"bert"`, `"distilbert"`, ErrCheckpoint, "hidden_size"},
		{"electra", `"bert"`, `"electra"`, ErrUnsupported, "electra"},
		{"by architecture", `"model_type":"bert"`, `"architectures":["GPT2Model"]`, ErrUnsupported, "GPT2Model"},
		{"activation", `"gelu"`, `"silu"`, ErrUnsupported, "silu"},
		{"positions", `{`, `{"position_embedding_type":"relative_key",`, ErrUnsupported, "relative_key"},
		{"decoder", `{`, `{"is_decoder":true,`, ErrUnsupported, "is_decoder"},
		{"no sizes", `"hidden_size":4,`, ``, ErrCheckpoint, "hidden_size"},
		{"heads", `"num_attention_heads":2`, `"num_attention_heads":3`, ErrCheckpoint, "num_attention_heads 3"},
		{"no heads", `"num_attention_heads":2`, `"num_attention_heads":0`, ErrCheckpoint, "num_attention_heads"},
		{"huge", `"vocab_size":20`, `"vocab_size":4194305`, ErrCheckpoint, "vocab_size"},
		{"negative", `"num_hidden_layers":2`, `"num_hidden_layers":-2`, ErrCheckpoint, "num_hidden_layers"},
		{"fraction", `"num_hidden_layers":2`, `"num_hidden_layers":2.5`, ErrCheckpoint, "num_hidden_layers"},
		{"one type", `"type_vocab_size":2`, `"type_vocab_size":1`, nil, ""},
		{"no type", `"type_vocab_size":2`, `"type_vocab_size":0`, ErrCheckpoint, "type_vocab_size"},
		{"epsilon", `1e-12`, `0`, ErrCheckpoint, "layer_norm_eps"},
		{"pad", `{`, `{"pad_token_id":20,`, ErrCheckpoint, "pad_token_id"},
		{"no JSON", `}`, ``, ErrCheckpoint, "config.json"},
		{"not UTF-8", `bert`, "b\xff", ErrCheckpoint, "UTF-8"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "config.json", strings.Replace(miniConfig, c.old, c.new, 1))
			got, err := ReadConfig(dir)
			switch {
			case c.want == nil && err != nil:
				t.Errorf("got %v, want nil", err)
			case c.want != nil && (!errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text)):
				t.Errorf("got %v, want %v with %s", err, c.want, c.text)
			case err != nil && !cmp.Equal(got, Config{}):
				t.Errorf("got %+v beside an error, want nothing", got)
			}
		})
	}
	if _, err := ReadConfig(t.TempDir()); !errors.Is(err, ErrCheckpoint) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want ErrCheckpoint and ErrNotExist", err)
	}
}

// TestConfigCut: no beginning of a config is one; no flipped bit makes it panic or leaves a size
// out of bounds.
func TestConfigCut(t *testing.T) {
	dir := t.TempDir()
	for n := range len(miniConfig) {
		writeFile(t, dir, "config.json", miniConfig[:n])
		if _, err := ReadConfig(dir); !errors.Is(err, ErrCheckpoint) {
			t.Fatalf("cut to %d bytes: got %v, want ErrCheckpoint", n, err)
		}
	}
	for i := range 8 * len(miniConfig) {
		b := []byte(miniConfig)
		b[i/8] ^= 1 << (i % 8)
		writeFile(t, dir, "config.json", string(b))
		if c, err := ReadConfig(dir); err == nil && c.Validate() != nil {
			t.Fatalf("bit %d: got an invalid config without an error", i)
		}
	}
}

func TestValidateMaxTokens(t *testing.T) {
	c := Config{MaxPositionEmbeddings: 8}
	for n, ok := range map[int]bool{-1: false, 4: false, 5: true, 8: true, 9: false} {
		if err := c.ValidateMaxTokens(n); (err == nil) != ok {
			t.Errorf("%d: got %v, want ok %t", n, err, ok)
		}
	}
}

func TestPooling(t *testing.T) {
	cases := []struct {
		name, file string
		want       Pooling
		err        error
	}{
		{"mean", `{"word_embedding_dimension":4,"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":false}`,
			PoolMean, nil},
		{"cls", `{"pooling_mode_cls_token":true}`, PoolCLS, nil},
		{"newer", `{"embedding_dimension":4,"pooling_mode":"mean"}`, PoolMean, nil},
		{"newer cls", `{"pooling_mode":"cls"}`, PoolCLS, nil},
		{"max", `{"pooling_mode_max_tokens":true}`, 0, ErrUnsupported},
		{"two", `{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true}`, 0, ErrUnsupported},
		{"none", `{}`, 0, ErrUnsupported},
		{"last token", `{"pooling_mode_mean_tokens":false,"pooling_mode_lasttoken":true}`, 0, ErrUnsupported},
		{"a list", `{"pooling_mode":["mean"]}`, 0, ErrUnsupported},
		{"dimension", `{"word_embedding_dimension":8,"pooling_mode_mean_tokens":true}`, 0, ErrCheckpoint},
		{"no JSON", `[]`, 0, ErrCheckpoint},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, dir, "1_Pooling/config.json", c.file)
			got, err := readPooling(folder(dir), "1_Pooling", 4)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %v, %v, want %v, %v", got, err, c.want, c.err)
			}
		})
	}
	if got, err := readPooling(folder(t.TempDir()), "1_Pooling", 4); got != 0 || err != nil {
		t.Errorf("no file: got %v, %v, want 0, nil", got, err)
	}
}
