package bank

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// hubParts are the tensors of one block, at 2·side for the weight and 2·side+1 for the
// bias.
var hubParts = [4]string{"adapter_down.0.weight", "adapter_down.0.bias", "adapter_up.weight", "adapter_up.bias"}

// hubModules are the names of the module that holds the adapters in a block's output:
// today's, and those before version 2 of adapter-transformers.
var hubModules = []string{"adapters", "layer_text_task_adapters", "layer_text_lang_adapters"}

func openHubAdapter(dir string) (*adapterFile, error) {
	c, err := readHubConfig(dir)
	if err != nil {
		return nil, err
	}
	a := &adapterFile{name: c.Name, config: filepath.Join(dir, hubConfigName), base: baseModel(c.ModelName),
		baseField: "model_name"}
	a.row = a.hubRow
	return a.open(dir, naming{files: hubWeightNames, pickle: hubPickleName, what: fmt.Sprintf("an adapter %q", c.Name),
		form: hubKeyForm(c.Name), isHead: isHubHead,
		parse: func(key string) (place, bool) { return parseHubKey(key, c.Name) },
	}, func() error { return a.checkHubShapes(c.HiddenSize) })
}

func isHubHead(key string) bool { return strings.HasPrefix(key, "heads.") }

// hubRow has a linear layer's weight as [in,out]; the file keeps it as [out,in].
func (a *adapterFile) hubRow(side Side, block int) (weights, bias []float32, err error) {
	stored, err := a.float32s(a.tensors[place{block: block, side: side}])
	if err != nil {
		return nil, nil, err
	}
	bias, err = a.float32s(a.tensors[place{block: block, side: side, bias: true}])
	if err != nil {
		return nil, nil, err
	}
	if side == Down {
		return transpose(stored, a.hidden, a.bottleneck), bias, nil
	}
	return transpose(stored, a.bottleneck, a.hidden), bias, nil
}

func hubKeyForm(name string) string {
	return "bert.encoder.layer.<block>.output.adapters." + name + "." + strings.Join(hubParts[:], "|")
}

// parseHubKey reads a tensor's name: a prefix of the model or none, the block, and one of
// the four parts.
func parseHubKey(key, name string) (p place, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(key, "bert."), "encoder.layer.")
	number, rest, found := strings.Cut(rest, ".output.")
	if !ok || !found {
		return p, false
	}
	block, ok := parseBlock(number)
	module, rest, _ := strings.Cut(rest, ".")
	rest, named := strings.CutPrefix(rest, name+".")
	part := slices.Index(hubParts[:], rest)
	p = place{block: block, side: Side(part / 2), bias: part%2 == 1}
	return p, ok && named && part >= 0 && slices.Contains(hubModules, module)
}

// checkHubShapes takes the dimensions from the first block and wants them everywhere.
func (a *adapterFile) checkHubShapes(hidden int) error {
	first := a.tensors[place{}]
	if len(first.Shape) != 2 {
		return a.corruptf("block 0: %s is missing or has shape %v, want [b, d]", hubParts[0], first.Shape)
	}
	b, d := first.Shape[0], first.Shape[1]
	if b < 1 || b > MaxBottleneck || d < 1 || d > MaxHidden {
		return a.corruptf("block 0: %s has shape %v", hubParts[0], first.Shape)
	}
	if hidden != 0 && int64(hidden) != d {
		return a.corruptf("hidden size %d, %s says %d", d, hubConfigName, hidden)
	}
	want := [4][]int64{{b, d}, {b}, {d, b}, {d}}
	for block := range a.blocks {
		for part, name := range hubParts {
			t, ok := a.tensors[place{block: block, side: Side(part / 2), bias: part%2 == 1}]
			if !ok {
				return a.corruptf("block %d: no %s", block, name)
			}
			if !slices.Equal(t.Shape, want[part]) {
				return a.corruptf("block %d: %s has shape %v, want %v", block, name, t.Shape, want[part])
			}
			if err := a.checkType(t); err != nil {
				return err
			}
		}
	}
	a.bottleneck, a.hidden = int(b), int(d)
	return nil
}
