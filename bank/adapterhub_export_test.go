package bank

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/model"
)

// ramp is n values that differ.
func ramp(n int, from float32) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = from + float32(i)/8
	}
	return out
}

// TestEncodeAdapterHub: what is written is read as it was, and what the library lacks is refused.
func TestEncodeAdapterHub(t *testing.T) {
	const L, d, b = 2, 6, 4 // 4 is no part of 6
	a := &model.Adapter{Blocks: L, Bottleneck: b, Activation: model.ReLU, Down: ramp(L*d*b, 0), Up: ramp(L*d*b, -1),
		DownBias: ramp(L*b, 2), UpBias: ramp(L*d, -3)}
	dir := t.TempDir()
	config, weights, err := EncodeAdapterHub(a, L)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(config, []byte(`"scaling": 1.0`)) { // which the library compares with float
		t.Errorf("got %s, want the scaling as a float", config)
	}
	for name, data := range map[string][]byte{"adapter_config.json": config, "adapter.safetensors": weights} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, err := ImportAdapterHub([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if p := m.Properties; p.Blocks != L || p.Hidden != d || p.Bottleneck != b {
		t.Errorf("got %+v, want the adapter's shape", p)
	}
	for l := range L {
		for side, want := range map[Side][2][]float32{Down: {a.Down[l*d*b:][:d*b], a.DownBias[l*b:][:b]},
			Up: {a.Up[l*d*b:][:d*b], a.UpBias[l*d:][:d]}} {
			row, bias, err := m.Row(side, l, 0)
			if err != nil || !slices.Equal(row, want[0]) || !slices.Equal(bias, want[1]) {
				t.Errorf("block %d, %v: got %v, %v, %v, want %v", l, side, row, bias, err, want)
			}
		}
	}
	a.Norm = ramp(2*L*b, 0)
	var unsupported *UnsupportedError
	if _, _, err := EncodeAdapterHub(a, L); !errors.As(err, &unsupported) || unsupported.Field != "LN_b" {
		t.Errorf("got %v, want LN_b named", err)
	}
	a.Norm = nil
	lora := *a
	lora.Targets = model.Query
	if _, _, err := EncodeAdapterHub(&lora, L); !errors.As(err, &unsupported) || unsupported.Value != "a LoRA" {
		t.Errorf("a LoRA: got %v, want an error that names it", err)
	}
	if _, _, err := EncodeAdapterHub(a, L-1); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want an adapter of more blocks than the model refused", err)
	}
}
