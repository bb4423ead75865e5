package model

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

// Config is Hugging Face's config.json for the BERT family: the fields that decide what is
// computed. DistilBERT's have BERT's names here.
type Config struct {
	ModelType             string   `json:"model_type"`
	Architectures         []string `json:"architectures"`
	VocabSize             int      `json:"vocab_size"`
	HiddenSize            int      `json:"hidden_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	IntermediateSize      int      `json:"intermediate_size"`
	HiddenAct             string   `json:"hidden_act"` // gelu, gelu_new or relu
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	TypeVocabSize         int      `json:"type_vocab_size"`
	LayerNormEps          float64  `json:"layer_norm_eps"`
	PositionEmbeddingType string   `json:"position_embedding_type"`
	PadTokenID            int      `json:"pad_token_id"`
	IsDecoder             bool     `json:"is_decoder"`
	AddCrossAttention     bool     `json:"add_cross_attention"`

	// FirstPosition is a text's first row in the table of positions: 0, or pad_token_id+1 for
	// RoBERTa. MaxPositionEmbeddings does not count the rows before it.
	FirstPosition int `json:"-"`
}

// ReadConfig reads and validates dir's config.json. A field that the file leaves out has Hugging
// Face's default, but sizes must be there.
func ReadConfig(dir string) (Config, error) { return readConfig(folder(dir)) }

func readConfig(dir fs.FS) (Config, error) {
	b, err := readFile(dir, "config.json", maxConfigFile)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c := Config{HiddenAct: "gelu", TypeVocabSize: 2, LayerNormEps: 1e-12, PositionEmbeddingType: "absolute"}
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, checkpointf("config.json: %v", err)
	}
	switch {
	case c.ModelType == "distilbert":
		if err := c.distilbert(b); err != nil {
			return Config{}, err
		}
	case c.family().shifted:
		c.shift(b)
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return Config{}, checkpointf("config.json: %v", err)
	}
	if err := wantNeutral(fields, "config.json", otherModels); err != nil {
		return Config{}, err
	}
	return c, nil
}

// otherModels are fields that a plain BERT does not have, each of which changes what is computed.
var otherModels = []neutral{
	{"auto_map", []string{"{}"}}, // code of the checkpoint's own
	{"quantization_config", []string{"{}"}},
	{"pruned_heads", []string{"{}"}},
}

// Validate checks that the model is an encoder of BERT's family that this package computes as
// Hugging Face does, of a sane size.
func (c Config) Validate() error {
	if err := c.validateKind(); err != nil {
		return err
	}
	for _, f := range []struct {
		name     string
		got      int
		low, top int
	}{
		{"vocab_size", c.VocabSize, 1, maxTokenID + 1},
		{"hidden_size", c.HiddenSize, 1, 1 << 14},
		{"num_hidden_layers", c.NumHiddenLayers, 1, 256},
		{"num_attention_heads", c.NumAttentionHeads, 1, 1 << 10},
		{"intermediate_size", c.IntermediateSize, 1, 1 << 16},
		{"max_position_embeddings", c.MaxPositionEmbeddings, MinTokens, 1 << 16},
		{"type_vocab_size", c.TypeVocabSize, 1, 1 << 10},
		{"pad_token_id", c.PadTokenID, 0, c.VocabSize - 1},
	} {
		if f.got < f.low || f.got > f.top {
			return checkpointf("config.json: %s: got %d, want %d to %d", f.name, f.got, f.low, f.top)
		}
	}
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		return checkpointf("config.json: hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize,
			c.NumAttentionHeads)
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		return checkpointf("config.json: layer_norm_eps: got %g, want between 0 and 1", c.LayerNormEps)
	}
	return nil
}

func (c Config) validateKind() error {
	_, known := families[c.ModelType]
	if c.ModelType == "" { // the first BERT checkpoints do not say
		known = true
		for _, a := range c.Architectures {
			known = known && strings.HasPrefix(a, "Bert")
		}
	}
	switch {
	case !known:
		return unsupportedf("config.json: model_type %q (architectures %q), want bert, distilbert, roberta or "+
			"xlm-roberta", c.ModelType, c.Architectures)
	case c.IsDecoder || c.AddCrossAttention:
		return unsupportedf("config.json: is_decoder or add_cross_attention, want an encoder")
	case c.PositionEmbeddingType != "absolute":
		return unsupportedf("config.json: position_embedding_type %q, want absolute", c.PositionEmbeddingType)
	}
	switch c.HiddenAct {
	case "gelu", "gelu_new", "relu":
		return nil
	}
	return unsupportedf("config.json: hidden_act %q, want gelu, gelu_new or relu", c.HiddenAct)
}

// MinTokens is the least MaxTokens: [CLS], a token of each text of a pair, and two [SEP].
const MinTokens = 5

// ValidateMaxTokens checks a limit on tokens per text or pair against the model's positions.
func (c Config) ValidateMaxTokens(n int) error {
	if n < MinTokens || n > c.MaxPositionEmbeddings {
		return fmt.Errorf("model: MaxTokens: got %d, want %d to the model's %d positions", n, MinTokens,
			c.MaxPositionEmbeddings)
	}
	return nil
}

// Pairs says whether the model reads pairs of texts: the second one's tokens have a type of their
// own, or RoBERTa's two separators stand before them.
func (c Config) Pairs() bool { return c.TypeVocabSize > 1 || c.family().shifted }

// canonical is what the digest of a checkpoint binds: every field that changes the result, in a
// fixed spelling.
func (c Config) canonical() string {
	kind := "bert"
	switch f := c.family(); {
	case f.shifted: // RoBERTa and XLM-R compute the same
		kind = fmt.Sprintf("roberta first_position=%d", c.FirstPosition)
	case f.noTypes:
		kind = "distilbert"
	}
	return kind + fmt.Sprintf(" vocab_size=%d hidden_size=%d num_hidden_layers=%d num_attention_heads=%d "+
		"intermediate_size=%d "+
		"hidden_act=%s max_position_embeddings=%d type_vocab_size=%d layer_norm_eps=%g",
		c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize,
		c.HiddenAct, c.MaxPositionEmbeddings, c.TypeVocabSize, c.LayerNormEps)
}
