package fuzz

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/bank"
)

// FuzzAdapters: any configuration and any weights of an adapter of another library are an error of
// a known kind, or a bank.
func FuzzAdapters(f *testing.F) {
	for _, dir := range []string{"lora/gamma", "lora/qkv", "lora/omega", "adapterhub/alpha"} {
		dir = "../bank/testdata/" + dir
		config, err := os.ReadFile(dir + "/adapter_config.json")
		if err != nil {
			f.Fatal(err)
		}
		weights, err := os.ReadFile(dir + "/adapter_model.safetensors")
		if err != nil {
			weights, err = os.ReadFile(dir + "/adapter.safetensors")
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add(config, weights)
	}
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"adapter_config.json": config, "adapter_model.safetensors": weights,
			"adapter.safetensors": weights} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := bank.ImportAdapters([]string{dir})
		if errors.Is(err, bank.ErrInvalid) {
			return // more than a bank can have
		}
		if err != nil {
			checkBankError(t, err)
			return
		}
		defer m.Close()
		var w writerAt
		_, err = bank.Write(context.Background(), &w, m.Properties, nil, m.Row)
		if err != nil && !errors.Is(err, bank.ErrInvalid) { // a number that is not finite
			t.Fatal(err)
		}
	})
}
