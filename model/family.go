package model

import (
	"encoding/json"
	"strings"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// family is what models of BERT's architecture differ in: names, and tables that they lack.
type family struct {
	prefix   string            // of the names of its tensors, where a head was trained with it
	spelling *strings.Replacer // canonical names to its own, nil for the same
	noTypes  bool              // tokens have no types
	shifted  bool              // positions begin behind the padding's id
}

// families are by model_type.
var families = map[string]family{
	"bert":        {prefix: "bert."},
	"roberta":     {prefix: "roberta.", shifted: true},
	"xlm-roberta": {prefix: "roberta.", shifted: true},
	"distilbert": {prefix: "distilbert.", noTypes: true, spelling: strings.NewReplacer(
		"encoder.layer.", "transformer.layer.",
		"attention.self.query.", "attention.q_lin.", "attention.self.key.", "attention.k_lin.",
		"attention.self.value.", "attention.v_lin.", "attention.output.dense.", "attention.out_lin.",
		"attention.output.LayerNorm.", "sa_layer_norm.", "intermediate.dense.", "ffn.lin1.",
		"output.dense.", "ffn.lin2.", "output.LayerNorm.", "output_layer_norm.")},
}

func (c Config) family() family {
	if c.ModelType == "" { // the first BERT checkpoints do not say
		return families["bert"]
	}
	return families[c.ModelType]
}

// distilbert is DistilBERT's config.json, which has names of its own.
func (c *Config) distilbert(b []byte) error {
	d := struct {
		Dim        int    `json:"dim"`
		Layers     int    `json:"n_layers"`
		Heads      int    `json:"n_heads"`
		Hidden     int    `json:"hidden_dim"`
		Activation string `json:"activation"`
	}{Activation: "gelu"}
	if err := json.Unmarshal(b, &d); err != nil {
		return checkpointf("config.json: %v", err)
	}
	c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads = d.Dim, d.Layers, d.Heads
	c.IntermediateSize, c.HiddenAct = d.Hidden, d.Activation
	c.TypeVocabSize, c.LayerNormEps = 2, 1e-12 // types of zeros, so that a pair's make no difference
	return nil
}

// shift leaves out the positions that no text uses: RoBERTa counts from behind the padding's id,
// which is 1 where b, its config.json, says nothing.
func (c *Config) shift(b []byte) {
	pad := struct {
		ID int `json:"pad_token_id"`
	}{1}
	json.Unmarshal(b, &pad) // Config, which has the field too, could read it
	c.PadTokenID = pad.ID
	c.FirstPosition = c.PadTokenID + 1
	c.MaxPositionEmbeddings -= c.FirstPosition
}

// missing is a tensor that a family lacks, and that is zeros to it.
func (f family) missing(want expectedWeight) (safetensors.Tensor, bool) {
	if !f.noTypes || want.name != typesName {
		return safetensors.Tensor{}, false
	}
	n := want.shape[0] * want.shape[1]
	return safetensors.Tensor{Name: want.name, DType: "F32", Shape: want.shape, Data: make([]byte, 4*n)}, true
}

// used is the part of a tensor that the model uses: of positions those from the first on.
func (c Config) used(want expectedWeight, t safetensors.Tensor) safetensors.Tensor {
	if want.name != positionsName || c.FirstPosition == 0 {
		return t
	}
	row := len(t.Data) / int(t.Shape[0])
	t.Data = t.Data[c.FirstPosition*row:]
	t.Shape = []int64{t.Shape[0] - int64(c.FirstPosition), t.Shape[1]}
	return t
}
