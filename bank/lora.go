package bank

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/model"
)

// loraWeightName is peft's.
const loraWeightName = "adapter_model.safetensors"

func openLoRA(dir string) (*adapterFile, error) {
	c, err := readLoRAConfig(dir, filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	a := &adapterFile{name: c.name, config: c.path, base: c.base, baseField: c.baseField}
	a.row = func(side Side, block int) (weights, bias []float32, err error) { return a.loraRow(c, side, block) }
	n := naming{files: hubWeightNames, pickle: hubPickleName, what: "a LoRA", form: c.keyForm(), isHead: c.isHead,
		parse: c.parseKey}
	if c.peft {
		n.files, n.pickle = []string{loraWeightName}, "adapter_model.bin"
	}
	return a.open(dir, n, func() error { return a.checkLoRAShapes(c) })
}

// isHead says whether a tensor is of a prediction head, saved into the same file.
func (c loraConfig) isHead(key string) bool {
	if !c.peft {
		return isHubHead(key)
	}
	module, _, _ := strings.Cut(strings.TrimPrefix(key, "base_model.model."), ".")
	return slices.Contains(loraHeads, module)
}

func (c loraConfig) keyForm() string {
	if c.peft {
		return "base_model.model.encoder.layer.<block>.attention.self.query|key|value.lora_A|lora_B.weight"
	}
	return "bert.encoder.layer.<block>.attention.self.query|key|value.loras." + c.name + ".lora_A|lora_B"
}

// parseKey reads a tensor's name: prefixes of the library and the model or none, the block, the
// projection, and one of the two parts.
func (c loraConfig) parseKey(key string) (p place, ok bool) {
	for _, prefix := range []string{"base_model.model.", "bert.", "roberta.", "distilbert."} {
		key = strings.TrimPrefix(key, prefix)
	}
	rest, bert := strings.CutPrefix(key, "encoder.layer.")
	middle := ".attention.self."
	if !bert {
		rest, ok = strings.CutPrefix(key, "transformer.layer.")
		middle = ".attention."
	}
	number, rest, found := strings.Cut(rest, middle)
	if !found || !bert && !ok {
		return p, false
	}
	block, ok := parseBlock(number)
	module, rest, _ := strings.Cut(rest, ".")
	side := slices.Index(c.parts(), rest)
	p = place{block: block, target: loraModules[module], side: Side(max(side, 0))}
	return p, ok && side >= 0 && p.target != 0
}

// parts are what A and B are called within a module.
func (c loraConfig) parts() []string {
	if c.peft {
		return []string{"lora_A.weight", "lora_B.weight"}
	}
	return []string{"loras." + c.name + ".lora_A", "loras." + c.name + ".lora_B"}
}

// checkShapes wants every target's A [r,d] and B [d,r] in every block.
func (a *adapterFile) checkLoRAShapes(c loraConfig) error {
	for _, t := range a.tensors {
		if len(t.Shape) == 2 {
			a.hidden = int(max(min(t.Shape[0], MaxHidden), min(t.Shape[1], MaxHidden), int64(a.hidden)))
		}
	}
	if c.hidden != 0 && c.hidden != a.hidden {
		return a.corruptf("hidden size %d, %s says %d", a.hidden, hubConfigName, c.hidden)
	}
	d, r := int64(a.hidden), int64(c.rank)
	want := [2][]int64{{r, d}, {d, r}}
	for block := range a.blocks {
		for _, target := range a.each() {
			for side, name := range c.parts() {
				t, ok := a.tensors[place{block: block, target: target, side: Side(side)}]
				if !ok {
					return a.corruptf("block %d: no %s.%s, which another block has", block, target, name)
				}
				if !slices.Equal(t.Shape, want[side]) {
					return a.corruptf("tensor %s has shape %v, want %v", t.Name, t.Shape, want[side])
				}
				if err := a.checkType(t); err != nil {
					return err
				}
			}
		}
	}
	a.bottleneck = c.rank * a.targets.Count()
	return nil
}

// each are the targets one by one, in order.
func (a *adapterFile) each() (all []model.Targets) {
	for t := model.Query; t.Valid(); t <<= 1 {
		if a.targets&t != 0 {
			all = append(all, t)
		}
	}
	return all
}

// loraRow joins the targets' A, or their B with the scale. The files keep them as [out,in].
func (a *adapterFile) loraRow(c loraConfig, side Side, block int) (weights, bias []float32, err error) {
	weights = make([]float32, a.bottleneck*a.hidden)
	for i, target := range a.each() {
		stored, err := a.float32s(a.tensors[place{block: block, target: target, side: side}])
		if err != nil {
			return nil, nil, err
		}
		for k, v := range stored {
			if side == Down { // [r,d] to columns of [d,b]
				weights[k%a.hidden*a.bottleneck+i*c.rank+k/a.hidden] = v
			} else { // [d,r] to rows of [b,d]
				weights[(i*c.rank+k%c.rank)*a.hidden+k/c.rank] = float32(c.scale) * v
			}
		}
	}
	return weights, nil, nil
}
