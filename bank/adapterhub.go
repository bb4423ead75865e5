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

// Import is a set of adapters in AdapterHub's Pfeiffer layout, mapped, as a bank that is
// not yet written: Save(ctx, dir, m.Properties, nil, m.Row). Set Properties.DType to F16
// before that to halve the file.
type Import struct {
	Properties Properties // Warm, ReLU, with biases, no LN_b
	Names      []string   // of the adapters, as their configurations call them

	adapters []*hubAdapter
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
func ImportAdapterHub(dirs []string) (*Import, error) {
	if len(dirs) < 1 || len(dirs) > MaxAdapters {
		return nil, invalidf("%d adapters, want 1 to %d", len(dirs), MaxAdapters)
	}
	m := &Import{}
	for _, dir := range dirs {
		a, err := openHubAdapter(dir)
		if err != nil {
			m.Close()
			return nil, err
		}
		earlier := m.adapters
		m.adapters = append(m.adapters, a)
		m.Names = append(m.Names, a.name)
		if err = a.sameBase(earlier); err == nil {
			err = a.sameShape(m.adapters[0])
		}
		if err != nil {
			m.Close()
			return nil, err
		}
	}
	first := m.adapters[0]
	m.Properties = Properties{
		Origin: Warm, N: len(dirs), Blocks: first.blocks, Hidden: first.hidden, Bottleneck: first.bottleneck,
		Activation: ReLU, Bias: true,
	}
	if err := m.Properties.Validate(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Row is a RowFunc. The files keep a linear layer's weight as [out, in]; a bank keeps it
// as [in, out].
func (m *Import) Row(side Side, block, adapter int) (weights, bias []float32, err error) {
	p := m.Properties
	if err := p.checkRow(side, block, adapter); err != nil {
		return nil, nil, err
	}
	if adapter >= len(m.adapters) {
		return nil, nil, ErrClosed
	}
	a := m.adapters[adapter]
	stored, err := safetensors.Float32s(a.tensors[block][2*side])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.path, err)
	}
	bias, err = safetensors.Float32s(a.tensors[block][2*side+1])
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.path, err)
	}
	rows, cols := p.shape(side)
	return transpose(stored, rows, cols), bias, nil
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

// openHubWeights maps the weights in dir.
func openHubWeights(dir string) (*safetensors.File, string, error) {
	for _, name := range hubWeightNames {
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
	path := filepath.Join(dir, hubPickleName)
	if _, err := os.Stat(path); err == nil {
		// A pickle is a program: loading one means to run it.
		return nil, "", &UnsupportedError{
			Path: path, Field: "format", Value: "pickle",
			Want: "safetensors: save the adapter with use_safetensors=True",
		}
	}
	return nil, "", fmt.Errorf("bank: %s: no %s: %w", dir, hubWeightNames[0], os.ErrNotExist)
}
