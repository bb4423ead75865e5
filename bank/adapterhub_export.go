package bank

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// hubExportName is the name of each adapter that is written. The library takes it in under any:
// load_adapter(folder, load_as="alice").
const hubExportName = "xpeft"

// EncodeAdapterHub is an adapter of a BERT of some blocks as the `adapters` library saves one with
// use_safetensors=True: the files adapter_config.json and adapter.safetensors of a folder. Blocks
// below the adapter's are left out. The library has no norm in the place of LN_b: an adapter with
// one, and a LoRA, is an *UnsupportedError.
func EncodeAdapterHub(a *model.Adapter, blocks int) (config, weights []byte, err error) {
	if a.Norm != nil {
		return nil, nil, &UnsupportedError{Field: "LN_b", Value: "between the adapter's halves",
			Want: "none: the adapters library has no norm there"}
	}
	if a.Targets != 0 {
		return nil, nil, &UnsupportedError{Field: "adapter", Value: "a LoRA",
			Want: "a bottleneck: EncodePEFT writes LoRAs"}
	}
	d, first := len(a.Down)/(a.Blocks*a.Bottleneck), blocks-a.Blocks
	if first < 0 {
		return nil, nil, invalidf("an adapter of %d blocks for a model of %d", a.Blocks, blocks)
	}
	left := make([]int, first)
	for i := range left {
		left[i] = i
	}
	inner := map[string]any{}
	for _, r := range hubRules {
		inner[r.field] = r.want
	}
	inner["leave_out"], inner["reduction_factor"] = left, reduction(d, a.Bottleneck)
	inner["scaling"] = json.RawMessage("1.0") // the library takes 1 for no number
	if a.Activation == model.Identity {
		inner["non_linearity"] = "linear"
	}
	config, _ = json.MarshalIndent(map[string]any{"config": inner, "hidden_size": d, "model_class": "BertModel",
		"model_name": "", "model_type": "bert", "name": hubExportName}, "", "  ")
	var file bytes.Buffer
	err = safetensors.Write(&file, hubTensors(a, first, d), nil)
	return append(config, '\n'), file.Bytes(), err
}

// reduction is r for which ⌊d/r⌋ is the bottleneck, in floats too.
func reduction(d, bottleneck int) float64 {
	if d%bottleneck == 0 {
		return float64(d / bottleneck)
	}
	return float64(d) / (float64(bottleneck) + 0.5)
}

// hubTensors are the adapter's, as linear layers' [out, in].
func hubTensors(a *model.Adapter, first, d int) (all []safetensors.Tensor) {
	b := a.Bottleneck
	for l := range a.Blocks {
		downBias, upBias := make([]float32, b), make([]float32, d)
		if a.DownBias != nil {
			downBias, upBias = a.DownBias[l*b:(l+1)*b], a.UpBias[l*d:(l+1)*d]
		}
		for i, x := range [4][]float32{transpose(a.Down[l*d*b:(l+1)*d*b], b, d), downBias,
			transpose(a.Up[l*d*b:(l+1)*d*b], d, b), upBias} {
			shape := [4][]int64{{int64(b), int64(d)}, {int64(b)}, {int64(d), int64(b)}, {int64(d)}}[i]
			name := fmt.Sprintf("encoder.layer.%d.output.adapters.%s.%s", first+l, hubExportName, hubParts[i])
			all = append(all, safetensors.F32(name, x, shape...))
		}
	}
	return all
}
