package fuzz

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// FuzzConfig: any config.json and 1_Pooling/config.json are an error, or a config within bounds;
// without weights never a checkpoint.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"bert","vocab_size":20,"hidden_size":4,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":6,`+
		`"hidden_act":"gelu","max_position_embeddings":8,"type_vocab_size":2,"layer_norm_eps":1e-12}`),
		[]byte(`{"pooling_mode_mean_tokens":true}`))
	f.Add([]byte(`{"model_type":"roberta"}`), []byte(`{"pooling_mode":"cls"}`))
	f.Add([]byte(`{"vocab_size":1e99}`), []byte(`[]`))
	dir := f.TempDir()
	write := writer(f, dir)
	f.Fuzz(func(t *testing.T, config, pooling []byte) {
		write(t, "config.json", config)
		write(t, filepath.Join("1_Pooling", "config.json"), pooling)
		c, err := model.ReadConfig(dir)
		if err == nil && (c.Validate() != nil || c.HiddenSize < 1 || c.HiddenSize%c.NumAttentionHeads != 0) {
			t.Fatalf("got %+v without an error", c)
		}
		if ckpt, err := model.OpenCheckpoint(dir); err == nil {
			t.Fatalf("got %v of a folder without weights, want an error", ckpt)
		}
	})
}

// writer returns a function that writes a file of dir anew.
func writer(f testing.TB, dir string) func(t *testing.T, name string, b []byte) {
	f.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "1_Pooling"), 0o700); err != nil {
		f.Fatal(err)
	}
	return func(t *testing.T, name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
