package bank

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// Files that hold an adapter's weights, in the order of preference.
var hubWeightNames = []string{"adapter.safetensors", "model.safetensors"}

const hubPickleName = "pytorch_adapter.bin"

// Import is a set of adapters of another library, mapped, as a bank that is not yet
// written: Save(ctx, dir, m.Properties, nil, m.Row). Set Properties.DType to F16 before
// that to halve the file.
type Import struct {
	Properties Properties // Warm; of bottleneck adapters ReLU, with biases, no LN_b
	Names      []string   // of the adapters, as their configurations call them, or of their folders

	adapters []*adapterFile
}

// ImportAdapterHub opens the adapters that the `adapters` library saved with
// use_safetensors=True in dirs, one in each, in this order. All must have been trained in
// the same base model, and have the same blocks, hidden size and bottleneck.
//
// What a bank cannot run as it was trained is an *UnsupportedError that names the field of
// adapter_config.json, the tensor or the file: anything but ReLU, scaling 1, the
// output adapter alone, the block's own layer norms on both sides and no others, no
// gate, one reduction_factor for all blocks, one model_name for all adapters, and weights
// that are not a pickle.
func ImportAdapterHub(dirs []string) (*Import, error) { return importAll(dirs, openHubAdapter) }

// Row is a RowFunc.
func (m *Import) Row(side Side, block, adapter int) (weights, bias []float32, err error) {
	p := m.Properties
	if err := p.checkRow(side, block, adapter); err != nil {
		return nil, nil, err
	}
	if adapter >= len(m.adapters) {
		return nil, nil, ErrClosed
	}
	return m.adapters[adapter].row(side, block)
}

// transpose returns the [rows, cols] matrix whose transpose is given.
func transpose(m []float32, rows, cols int) []float32 {
	out := make([]float32, len(m))
	for i := range rows {
		for j := range cols {
			out[i*cols+j] = m[j*rows+i]
		}
	}
	return out
}

// Close unmaps the files. Row must not be running.
func (m *Import) Close() error {
	var errs []error
	for _, a := range m.adapters {
		errs = append(errs, a.file.Close())
	}
	m.adapters = nil
	return errors.Join(errs...)
}

// openWeights maps the weights in dir.
func openWeights(dir string, names []string, pickle string) (*safetensors.File, string, error) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		f, err := safetensors.Open(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case errors.Is(err, safetensors.ErrCorrupt):
			return nil, "", fmt.Errorf("%w: %w", ErrCorrupt, err)
		case err != nil:
			return nil, "", fmt.Errorf("bank: %w", err)
		}
		return f, path, nil
	}
	path := filepath.Join(dir, pickle)
	if _, err := os.Stat(path); err == nil {
		// A pickle is a program: loading one means to run it.
		return nil, "", &UnsupportedError{
			Path: path, Field: "format", Value: "pickle",
			Want: "safetensors: save the adapter with use_safetensors=True, or safe_serialization=True in peft",
		}
	}
	return nil, "", fmt.Errorf("bank: %s: no %s: %w", dir, names[0], os.ErrNotExist)
}
