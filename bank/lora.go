package bank

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// loraWeightName is peft's.
const loraWeightName = "adapter_model.safetensors"

// loraPart is A or B of one target in one block.
type loraPart struct {
	block  int
	target model.Targets
	side   Side
}

// loraFile is one LoRA's open file.
type loraFile struct {
	adapterFile
	tensors map[loraPart]safetensors.Tensor
	rank    int
	scale   float32
}

func openLoRA(dir string) (*adapterFile, error) {
	c, err := readLoRAConfig(dir, filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	names, pickle := hubWeightNames, hubPickleName
	if c.peft {
		names, pickle = []string{loraWeightName}, "adapter_model.bin"
	}
	file, path, err := openWeights(dir, names, pickle)
	if err != nil {
		return nil, err
	}
	a := &loraFile{adapterFile: adapterFile{path: path, name: c.name, file: file, config: c.path, base: c.base,
		baseField: c.baseField}, tensors: map[loraPart]safetensors.Tensor{}, rank: c.rank, scale: float32(c.scale)}
	a.adapterFile.row = a.row
	if err := a.read(c); err != nil {
		file.Close()
		return nil, err
	}
	return &a.adapterFile, nil
}

func (a *loraFile) read(c loraConfig) error {
	for _, t := range a.file.Tensors() {
		if c.isHead(t.Name) {
			continue
		}
		part, ok := c.parseKey(t.Name)
		if !ok {
			return &UnsupportedError{Path: a.path, Field: "tensor", Value: t.Name, Want: c.keyForm()}
		}
		if before, ok := a.tensors[part]; ok {
			return a.corruptf("tensor %s is there twice, also as %s", t.Name, before.Name)
		}
		a.tensors[part] = t
		a.blocks, a.targets = max(a.blocks, part.block+1), a.targets|part.target
	}
	if len(a.tensors) == 0 {
		return a.corruptf("no tensors of a LoRA")
	}
	return a.checkShapes(c)
}

// isHead says whether a tensor is of a prediction head, saved into the same file.
func (c loraConfig) isHead(key string) bool {
	if !c.peft {
		return strings.HasPrefix(key, "heads.")
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
func (c loraConfig) parseKey(key string) (p loraPart, ok bool) {
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
	block, err := strconv.Atoi(number)
	if err != nil || block < 0 || block >= MaxBlocks || strconv.Itoa(block) != number {
		return p, false
	}
	module, rest, _ := strings.Cut(rest, ".")
	side := slices.Index(c.parts(), rest)
	p = loraPart{block, loraModules[module], Side(max(side, 0))}
	return p, side >= 0 && p.target != 0
}

// parts are what A and B are called within a module.
func (c loraConfig) parts() []string {
	if c.peft {
		return []string{"lora_A.weight", "lora_B.weight"}
	}
	return []string{"loras." + c.name + ".lora_A", "loras." + c.name + ".lora_B"}
}

// checkShapes wants every target's A [r,d] and B [d,r] in every block.
func (a *loraFile) checkShapes(c loraConfig) error {
	for _, t := range a.tensors {
		if len(t.Shape) == 2 {
			a.hidden = int(max(min(t.Shape[0], MaxHidden), min(t.Shape[1], MaxHidden), int64(a.hidden)))
		}
	}
	if c.hidden != 0 && c.hidden != a.hidden {
		return a.corruptf("hidden size %d, %s says %d", a.hidden, hubConfigName, c.hidden)
	}
	d, r := int64(a.hidden), int64(a.rank)
	want := [2][]int64{{r, d}, {d, r}}
	for block := range a.blocks {
		for _, target := range a.each() {
			for side, name := range c.parts() {
				t, ok := a.tensors[loraPart{block, target, Side(side)}]
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
	a.bottleneck = a.rank * a.targets.Count()
	return nil
}

// each are the targets one by one, in order.
func (a *loraFile) each() (all []model.Targets) {
	for t := model.Query; t.Valid(); t <<= 1 {
		if a.targets&t != 0 {
			all = append(all, t)
		}
	}
	return all
}

// row joins the targets' A, or their B with the scale. The files keep them as [out,in].
func (a *loraFile) row(side Side, block int) (weights, bias []float32, err error) {
	weights = make([]float32, a.bottleneck*a.hidden)
	for i, target := range a.each() {
		stored, err := a.float32s(a.tensors[loraPart{block, target, side}])
		if err != nil {
			return nil, nil, err
		}
		for k, v := range stored {
			if side == Down { // [r,d] to columns of [d,b]
				weights[k%a.hidden*a.bottleneck+i*a.rank+k/a.hidden] = v
			} else { // [d,r] to rows of [b,d]
				weights[(i*a.rank+k%a.rank)*a.hidden+k/a.rank] = a.scale * v
			}
		}
	}
	return weights, nil, nil
}
