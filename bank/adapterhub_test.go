package bank

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// hubCase is an adapter folder to be written; tests change a part of it.
type hubCase struct {
	config  map[string]any // the inner one
	outer   map[string]any
	tensors []safetensors.Tensor
	file    string

	content, page string // instead of the weights and of the configuration
}

const (
	hubHidden     = 6
	hubBottleneck = 2
	hubBlocks     = 2
)

// newHubCase is what version 1.3.0 of the adapters library saves for SeqBnConfig.
func newHubCase(name string, seed uint64) *hubCase {
	c := &hubCase{
		config: map[string]any{
			"adapter_residual_before_ln": false, "cross_adapter": false, "dropout": 0.0, "factorized_phm_W": true,
			"factorized_phm_rule": false, "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert",
			"init_weights_seed": nil, "inv_adapter": nil, "inv_adapter_reduction_factor": nil, "is_parallel": false,
			"learn_phm": true, "leave_out": []any{}, "ln_after": false, "ln_before": false, "mh_adapter": false,
			"non_linearity": "relu", "original_ln_after": true, "original_ln_before": true, "output_adapter": true,
			"phm_bias": true, "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": false,
			"phm_rank": 1, "reduction_factor": 3, "residual_before_ln": true, "scaling": 1.0, "shared_W_phm": false,
			"shared_phm_rule": true, "stochastic_depth": 0.0, "use_gating": false,
		},
		outer: map[string]any{
			"config_id": "0", "hidden_size": hubHidden, "model_class": "BertAdapterModel", "model_name": "m",
			"model_type": "bert", "name": name, "version": "adapters.1.3.0",
		},
		file: "adapter.safetensors",
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	shapes := [4][]int64{{hubBottleneck, hubHidden}, {hubBottleneck}, {hubHidden, hubBottleneck}, {hubHidden}}
	for block := range hubBlocks {
		for part, shape := range shapes {
			v := make([]float32, 0, 12)
			for n := product(shape); len(v) < n; {
				v = append(v, rng.Float32()-0.5)
			}
			c.tensors = append(c.tensors, safetensors.Tensor{
				Name:  fmt.Sprintf("bert.encoder.layer.%d.output.adapters.%s.%s", block, name, hubParts[part]),
				DType: "F32", Shape: shape, Data: appendEntries(nil, v, F32),
			})
		}
	}
	return c
}

// resize gives all tensors other dimensions, and no interesting entries.
func (c *hubCase) resize(d, b int64) {
	c.outer["hidden_size"] = d
	for i := range c.tensors {
		shape := [4][]int64{{b, d}, {b}, {d, b}, {d}}[i%4]
		c.tensors[i].Shape, c.tensors[i].Data = shape, make([]byte, 4*product(shape))
	}
}

func product(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}

// write makes the folder.
func (c *hubCase) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c.outer["config"] = c.config
	b, err := json.MarshalIndent(c.outer, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if c.page != "" {
		b = []byte(c.page)
	}
	writeFile(t, filepath.Join(dir, "adapter_config.json"), b)
	if c.content != "" {
		writeFile(t, filepath.Join(dir, c.file), []byte(c.content))
		return dir
	}
	if c.file != "" {
		var w bytes.Buffer
		if err := safetensors.Write(&w, c.tensors, nil); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, c.file), w.Bytes())
	}
	return dir
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImportAdapterHub(t *testing.T) {
	cases := []*hubCase{newHubCase("sst-2", 1), newHubCase("mrpc", 2), newHubCase("rte", 3)}
	cases[1].file = "model.safetensors"
	var dirs []string
	for _, c := range cases {
		dirs = append(dirs, c.write(t))
	}
	m, err := ImportAdapterHub(dirs)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := Properties{
		Origin: Warm, N: 3, Blocks: hubBlocks, Hidden: hubHidden, Bottleneck: hubBottleneck,
		Activation: ReLU, Bias: true,
	}
	if diff := cmp.Diff(want, m.Properties); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"sst-2", "mrpc", "rte"}, m.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	dir := t.TempDir()
	d, err := Save(context.Background(), dir, m.Properties, nil, m.Row)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(filepath.Join(dir, d.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for adapter, c := range cases {
		checkHubRows(t, f, adapter, c)
	}
}

// checkHubRows applies each half to a vector, as the library's linear layers do and as
// a bank does.
func checkHubRows(t *testing.T, f *File, adapter int, c *hubCase) {
	t.Helper()
	p := f.Properties()
	for block := range p.Blocks {
		for _, side := range []Side{Down, Up} {
			linear, err := safetensors.Float32s(c.tensors[4*block+2*int(side)])
			if err != nil {
				t.Fatal(err)
			}
			wantBias, _ := safetensors.Float32s(c.tensors[4*block+2*int(side)+1])
			weights, bias, err := f.Row(side, block, adapter)
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(bias, wantBias) {
				t.Errorf("block %d %v adapter %d: bias %v, want %v", block, side, adapter, bias, wantBias)
			}
			in, out := p.shape(side)
			for j := range out {
				var got, want float32 // in·A and W·in, for in = 1, 2, 3, …
				for i := range in {
					got += float32(i+1) * weights[i*out+j]
					want += float32(i+1) * linear[j*in+i]
				}
				if got != want {
					t.Errorf("block %d %v adapter %d, output %d: got %v, want %v", block, side, adapter, j, got, want)
				}
			}
		}
	}
}

// Adapters from before the library had these fields, or with fields that are off.
func TestImportAcceptsOldConfigs(t *testing.T) {
	c := newHubCase("x", 1)
	c.config = map[string]any{
		"adapter_residual_before_ln": false, "cross_adapter": false, "inv_adapter": nil, "leave_out": []any{},
		"ln_after": false, "ln_before": false, "mh_adapter": false, "non_linearity": "relu", "original_ln_after": true,
		"original_ln_before": true, "output_adapter": true, "reduction_factor": 16, "residual_before_ln": true,
		"new_attention_norm": false,
	}
	for i := range c.tensors {
		c.tensors[i].Name = strings.Replace(c.tensors[i].Name, ".adapters.", ".layer_text_task_adapters.", 1)
	}
	m, err := ImportAdapterHub([]string{c.write(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := m.Row(Down, 0, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
}

// TestImportRealAdapters reads what the adapters library, version 1.3.0, saved
// (testdata/adapterhub/make.py), and computes what it computed.
func TestImportRealAdapters(t *testing.T) {
	const dir = "testdata/adapterhub"
	names := []string{"alpha", "beta"}
	m, err := ImportAdapterHub([]string{filepath.Join(dir, names[0]), filepath.Join(dir, names[1])})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var golden struct {
		Input  []float32
		Output map[string][][]float32
	}
	b, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(m.Names, names) {
		t.Errorf("names: got %q, want %q", m.Names, names)
	}
	for i, name := range names {
		for block, want := range golden.Output[name] {
			bottleneck := apply(t, m, Down, block, i, golden.Input)
			for j := range bottleneck {
				bottleneck[j] = max(bottleneck[j], 0)
			}
			got := apply(t, m, Up, block, i, bottleneck)
			var worst float64
			for j := range want {
				worst = max(worst, math.Abs(float64(got[j])-float64(want[j])))
			}
			t.Logf("%s, block %d: largest difference %.2g", name, block, worst)
			if worst > 1e-5 || len(got) != len(want) {
				t.Errorf("%s, block %d: largest difference %.2g, want at most 1e-5", name, block, worst)
			}
		}
	}
}

// apply returns h·W + bias.
func apply(t *testing.T, m *Import, side Side, block, adapter int, h []float32) []float32 {
	t.Helper()
	weights, bias, err := m.Row(side, block, adapter)
	if err != nil {
		t.Fatal(err)
	}
	in, out := m.Properties.shape(side)
	y := make([]float32, out)
	for j := range out {
		y[j] = bias[j]
		for i := range in {
			y[j] += h[i] * weights[i*out+j]
		}
	}
	return y
}

// shape returns the rows and columns of one adapter's half as it is applied:
// Down is [d, b] in h·A, Up is [b, d]. Weights are row-major in it.
func (p Properties) shape(side Side) (rows, cols int) {
	if side == Down {
		return p.Hidden, p.Bottleneck
	}
	return p.Bottleneck, p.Hidden
}
