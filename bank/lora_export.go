package bank

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// EncodePEFT is a folded LoRA of an encoder of some blocks as peft's save_pretrained writes one:
// the files adapter_config.json and adapter_model.safetensors of a folder, for
// PeftModel.from_pretrained over AutoModel. modelType is the encoder's, as its config.json has it.
// An adapter that is no LoRA is an *UnsupportedError.
func EncodePEFT(a *model.Adapter, blocks int, modelType string) (config, weights []byte, err error) {
	if a.Targets == 0 {
		return nil, nil, &UnsupportedError{Field: "adapter", Value: "after the block", Want: "a LoRA, for peft"}
	}
	place, names := "encoder.layer.%d.attention.self.", a.Targets.Names()
	if modelType == "distilbert" {
		place = "transformer.layer.%d.attention."
		for i, name := range names {
			names[i] = name[:1] + "_lin"
		}
	}
	rank, first := a.Bottleneck/len(names), blocks-a.Blocks
	fields := map[string]any{"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "inference_mode": true,
		"r": rank, "lora_alpha": rank, "lora_dropout": 0.0, "target_modules": names, "bias": "none",
		"fan_in_fan_out": false, "base_model_name_or_path": nil}
	if first > 0 {
		var those []int
		for l := range a.Blocks {
			those = append(those, first+l)
		}
		fields["layers_to_transform"], fields["layers_pattern"] = those, "layer"
	}
	config, _ = json.MarshalIndent(fields, "", "  ")
	var all []safetensors.Tensor
	d := len(a.Down) / (a.Blocks * a.Bottleneck)
	for l := range a.Blocks {
		for i, name := range names {
			key := fmt.Sprintf("base_model.model."+place+"%s.lora_", first+l, name)
			down, up := a.Down[l*d*a.Bottleneck+i*rank:], a.Up[(l*a.Bottleneck+i*rank)*d:]
			all = append(all, matrix(key+"A.weight", rank, d, func(r, j int) float32 { return down[j*a.Bottleneck+r] }),
				matrix(key+"B.weight", d, rank, func(j, r int) float32 { return up[r*d+j] }))
		}
	}
	var file bytes.Buffer
	err = safetensors.Write(&file, all, map[string]string{"format": "pt"})
	return append(config, '\n'), file.Bytes(), err
}

// matrix is a tensor of these values.
func matrix(name string, rows, cols int, at func(i, j int) float32) safetensors.Tensor {
	values := make([]float32, 0, rows*cols)
	for i := range rows {
		for j := range cols {
			values = append(values, at(i, j))
		}
	}
	return safetensors.F32(name, values, int64(rows), int64(cols))
}
