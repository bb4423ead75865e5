package bank

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/model"
)

// peftConfig is the part of peft's adapter_config.json that describes the file.
type peftConfig struct {
	Base   string  `json:"base_model_name_or_path"`
	Rank   float64 `json:"r"`
	Alpha  float64 `json:"lora_alpha"`
	RSLoRA bool    `json:"use_rslora"`
}

// peftRules are the fields that change what a LoRA computes, or in which model.
var peftRules = []hubRule{
	{field: "peft_type", want: "LORA"},
	{field: "r", want: 8, accepts: isNumber},
	{field: "lora_alpha", want: 8, accepts: isNumber},
	{field: "bias", absent: "none", want: "none"},
	{field: "fan_in_fan_out", absent: false, want: false},
	// These change the model's own weights, which the file does not have.
	{field: "init_lora_weights", absent: true, want: true, accepts: isPlainInit},
	{field: "modules_to_save", want: loraHeads, accepts: areHeads},
	{field: "target_modules", want: []string{"query", "key", "value"}, accepts: areTargets},
	{field: "exclude_modules", absent: nil, want: nil, accepts: isEmpty},
	{field: "layers_to_transform", absent: nil, want: nil, accepts: isEmpty},
	{field: "rank_pattern", absent: nil, want: map[string]any{}, accepts: isOff},
	{field: "alpha_pattern", absent: nil, want: map[string]any{}, accepts: isOff},
}

// peftIgnored are fields that act in training only, say what the tensors say too, or belong to a
// feature that a rule or an unknown field refuses.
var peftIgnored = []string{
	"auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "megatron_core",
	"peft_version", "qalora_group_size", "revision", "task_type", "use_rslora",
	"layers_pattern", "runtime_config", "lora_ga_config", "loftq_config", "corda_config", "eva_config",
}

// loraHubRules are those of the `adapters` library's LoRA.
var loraHubRules = []hubRule{
	{field: "architecture", want: "lora"},
	{field: "selfattn_lora", absent: true, want: true},
	{field: "intermediate_lora", absent: false, want: false},
	{field: "output_lora", absent: false, want: false},
	{field: "leave_out", absent: nil, want: []any{}, accepts: isEmpty},
	{field: "composition_mode", absent: "add", want: "add"},
	{field: "r", want: 8, accepts: isNumber},
	{field: "alpha", want: 8, accepts: isNumber},
	{field: "use_gating", absent: false, want: false},
}

var loraHubIgnored = []string{"attn_matrices", "dropout", "dtype", "init_weights", "init_weights_seed"}

// loraHeads are what is saved of a classifier, after the encoder and outside of it.
var loraHeads = []string{"classifier", "pre_classifier", "score"}

// loraModules are what the encoders that run here call the projections.
var loraModules = map[string]model.Targets{
	"query": model.Query, "key": model.Key, "value": model.Value,
	"q_lin": model.Query, "k_lin": model.Key, "v_lin": model.Value, // DistilBERT
}

func isPlainInit(v any) bool {
	_, ok := v.(bool)
	return ok || v == "gaussian"
}

// isOff accepts what is not there, and empty objects.
func isOff(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0 || isEmpty(v)
}

func areHeads(v any) bool { return v == nil || allIn(v, loraHeads) }

// areTargets accepts a list of projections, of every block. An expression, or a longer name, may
// leave blocks out, at the end too, where the tensors would not show it.
func areTargets(v any) bool {
	list, _ := v.([]any)
	for _, name := range list {
		text, _ := name.(string)
		if loraModules[strings.TrimPrefix(strings.TrimPrefix(text, "attention."), "self.")] == 0 {
			return false
		}
	}
	return len(list) > 0
}

func allIn(v any, names []string) bool {
	list, ok := v.([]any)
	for _, name := range list {
		text, _ := name.(string)
		ok = ok && slices.Contains(names, text)
	}
	return ok
}

// loraConfig is what either library says of a LoRA.
type loraConfig struct {
	path, name, base, baseField string
	hidden                      int // 0 where it is not said
	rank                        int
	scale                       float64
	peft                        bool
}

// readLoRAConfig reads the configuration of the LoRA in dir and refuses those that this package
// cannot run as they were trained.
func readLoRAConfig(dir, name string) (loraConfig, error) {
	b, path, err := readConfig(dir)
	if err != nil {
		return loraConfig{}, err
	}
	var fields map[string]any
	var peft peftConfig
	if err := decodeConfig(b, path, &fields); err != nil {
		return loraConfig{}, err
	}
	if fields["peft_type"] == nil {
		hub, err := decodeHubConfig(b, path)
		if err != nil {
			return loraConfig{}, err
		}
		return hub.lora(path)
	}
	if err := checkHubRules(path, fields, peftRules, peftIgnored); err != nil {
		return loraConfig{}, err
	}
	if err := decodeConfig(b, path, &peft); err != nil {
		return loraConfig{}, err
	}
	c := loraConfig{path: path, name: name, base: baseModel(peft.Base), baseField: "base_model_name_or_path",
		peft: true}
	divisor := peft.Rank
	if peft.RSLoRA {
		divisor = math.Sqrt(divisor)
	}
	return c.scaled(peft.Rank, peft.Alpha, divisor)
}

// lora is the `adapters` library's.
func (c hubConfig) lora(path string) (loraConfig, error) {
	if err := checkHubRules(path, c.Config, loraHubRules, loraHubIgnored); err != nil {
		return loraConfig{}, err
	}
	rank, _ := c.Config["r"].(float64)
	alpha, _ := c.Config["alpha"].(float64)
	return loraConfig{path: path, name: c.Name, base: baseModel(c.ModelName), baseField: "model_name",
		hidden: c.HiddenSize}.scaled(rank, alpha, rank)
}

// scaled takes the rank and the scale α/divisor in.
func (c loraConfig) scaled(rank, alpha, divisor float64) (loraConfig, error) {
	if rank < 1 || rank > MaxBottleneck || rank != math.Trunc(rank) {
		return c, fmt.Errorf("%s: %w", c.path, corruptf("a rank of %g", rank))
	}
	c.rank, c.scale = int(rank), alpha/divisor
	return c, nil
}
