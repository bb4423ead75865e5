package bank

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// hubParts are the tensors of one block, at 2·side for the weight and 2·side+1 for the
// bias.
var hubParts = [4]string{"adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias"}

// hubModules are the names of the module that holds the adapters in a block's output:
// today's, and those before version 2 of adapter-transformers.
var hubModules = []string{"adapters", "layer_text_task_adapters", "layer_text_lang_adapters"}

// hubAdapter is one adapter's open file.
type hubAdapter struct {
	adapterFile
	tensors [][4]safetensors.Tensor // [block]
}

func openHubAdapter(dir string) (*adapterFile, error) {
	config, err := readHubConfig(dir)
	if err != nil {
		return nil, err
	}
	file, path, err := openWeights(dir, hubWeightNames, hubPickleName)
	if err != nil {
		return nil, err
	}
	a := &hubAdapter{adapterFile: adapterFile{path: path, name: config.Name, file: file,
		config: filepath.Join(dir, hubConfigName), base: baseModel(config.ModelName), baseField: "model_name"}}
	a.adapterFile.row = a.row
	if err := a.read(config); err != nil {
		file.Close()
		return nil, err
	}
	return &a.adapterFile, nil
}

// row has a linear layer's weight as [in,out]; the file keeps it as [out,in].
func (a *hubAdapter) row(side Side, block int) (weights, bias []float32, err error) {
	stored, err := a.float32s(a.tensors[block][2*side])
	if err != nil {
		return nil, nil, err
	}
	bias, err = a.float32s(a.tensors[block][2*side+1])
	if err != nil {
		return nil, nil, err
	}
	if side == Down {
		return transpose(stored, a.hidden, a.bottleneck), bias, nil
	}
	return transpose(stored, a.bottleneck, a.hidden), bias, nil
}

func (a *hubAdapter) read(config hubConfig) error {
	for _, t := range a.file.Tensors() {
		if strings.HasPrefix(t.Name, "heads.") {
			continue // a prediction head, saved into the same file
		}
		block, part, ok := parseHubKey(t.Name, config.Name)
		if !ok {
			return &UnsupportedError{Path: a.path, Field: "tensor", Value: t.Name, Want: hubKeyForm(config.Name)}
		}
		for len(a.tensors) <= block {
			a.tensors = append(a.tensors, [4]safetensors.Tensor{})
		}
		if a.tensors[block][part].Name != "" {
			return a.corruptf("tensor %s is there twice, also as %s", t.Name, a.tensors[block][part].Name)
		}
		a.tensors[block][part] = t
	}
	if len(a.tensors) == 0 {
		return a.corruptf("no tensors of an adapter %q", config.Name)
	}
	return a.checkShapes(config)
}

func hubKeyForm(name string) string {
	return "bert.encoder.layer.<block>.output.adapters." + name + "." + strings.Join(hubParts[:], "|")
}

// parseHubKey reads a tensor's name: a prefix of the model or none, the block, and one of
// the four parts.
func parseHubKey(key, name string) (block, part int, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(key, "bert."), "encoder.layer.")
	if !ok {
		return 0, 0, false
	}
	number, rest, ok := strings.Cut(rest, ".output.")
	if !ok {
		return 0, 0, false
	}
	block, err := strconv.Atoi(number)
	if err != nil || block < 0 || block >= MaxBlocks || strconv.Itoa(block) != number {
		return 0, 0, false
	}
	module, rest, _ := strings.Cut(rest, ".")
	rest, ok = strings.CutPrefix(rest, name+".")
	part = slices.Index(hubParts[:], rest)
	return block, part, ok && part >= 0 && slices.Contains(hubModules, module)
}

// checkShapes takes the dimensions from the first block and wants them everywhere.
func (a *hubAdapter) checkShapes(config hubConfig) error {
	first := a.tensors[0][0]
	if len(first.Shape) != 2 {
		return a.corruptf("block 0: %s is missing or has shape %v, want [b, d]", hubParts[0], first.Shape)
	}
	b, d := first.Shape[0], first.Shape[1]
	if b < 1 || b > MaxBottleneck || d < 1 || d > MaxHidden {
		return a.corruptf("block 0: %s has shape %v", hubParts[0], first.Shape)
	}
	if config.HiddenSize != 0 && int64(config.HiddenSize) != d {
		return a.corruptf("hidden size %d, %s says %d", d, hubConfigName, config.HiddenSize)
	}
	want := [4][]int64{{b, d}, {b}, {d, b}, {d}}
	for block, tensors := range a.tensors {
		for part, t := range tensors {
			if t.Name == "" {
				return a.corruptf("block %d: no %s", block, hubParts[part])
			}
			if !slices.Equal(t.Shape, want[part]) {
				return a.corruptf("block %d: %s has shape %v, want %v", block, hubParts[part], t.Shape, want[part])
			}
			if err := a.checkType(t); err != nil {
				return err
			}
		}
	}
	a.blocks, a.bottleneck, a.hidden = len(a.tensors), int(b), int(d)
	return nil
}
