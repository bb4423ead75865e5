package enginetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// Encoder is the real weights under another pooling, open until the test ends.
func Encoder(t testing.TB, how model.Pooling) *model.Encoder {
	t.Helper()
	dir, real := t.TempDir(), golden.Model(t)
	for _, name := range []string{"config.json", "model.safetensors"} {
		path, err := filepath.Abs(filepath.Join(real, name))
		if err == nil {
			err = os.Symlink(path, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if mode := map[model.Pooling]string{model.PoolMean: "mean_tokens", model.PoolCLS: "cls_token"}[how]; mode != "" {
		if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755); err != nil {
			t.Fatal(err)
		}
		settings := []byte(`{"pooling_mode_` + mode + `":true}`)
		if err := os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"), settings, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Open(t, dir, how)
}

// Open is the encoder of a folder, open until the test ends.
func Open(t testing.TB, dir string, how model.Pooling) *model.Encoder {
	t.Helper()
	c, err := model.OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := model.NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	if enc.Pooling() != how {
		t.Fatalf("got pooling %v, want %v", enc.Pooling(), how)
	}
	return enc
}
