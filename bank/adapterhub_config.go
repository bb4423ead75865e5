package bank

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	hubConfigName = "adapter_config.json"
	hubConfigMax  = 1 << 20
)

// hubConfig is the part of adapter_config.json that describes the file. Field by field
// it is what the `adapters` library, its predecessor and their forks write.
type hubConfig struct {
	Name      string `json:"name"`
	ModelType string `json:"model_type"`
	ModelName string `json:"model_name"` // of the base model; old files and unnamed models lack it
	// BertAdapterModel, BertModelWithHeads, …: the same encoder under several heads
	ModelClass string         `json:"model_class"`
	HiddenSize int            `json:"hidden_size"`
	Config     map[string]any `json:"config"`
	PEFTType   string         `json:"peft_type"` // of the peft library's file of the same name
}

// hubRule says what a field of the inner config must be. Older versions of the library
// lack some fields; they meant what its default says now.
type hubRule struct {
	field   string
	absent  any            // the library's default
	want    any            // of what accepts takes an example
	accepts func(any) bool // nil: want alone, which is no list and no object
}

// hubRules are the fields that change what an adapter computes: Pfeiffer's place, one
// bottleneck with ReLU, and nothing beside it.
var hubRules = []hubRule{
	{field: "architecture", absent: nil, want: nil},
	{field: "mh_adapter", absent: false, want: false},
	{field: "output_adapter", absent: false, want: true},
	{field: "cross_adapter", absent: false, want: false},
	{field: "is_parallel", absent: false, want: false},
	{field: "leave_out", absent: nil, want: []any{}, accepts: isEmpty},
	{field: "original_ln_before", absent: false, want: true},
	{field: "original_ln_after", absent: true, want: true},
	{field: "residual_before_ln", absent: true, want: true},
	{field: "ln_before", absent: false, want: false},
	{field: "ln_after", absent: false, want: false},
	{field: "non_linearity", absent: nil, want: "relu"},
	{field: "scaling", absent: 1.0, want: 1.0},
	{field: "use_gating", absent: false, want: false},
	{field: "phm_layer", absent: false, want: false},
	{field: "inv_adapter", absent: nil, want: nil},
	{field: "invertible_adapter", absent: nil, want: nil},
	{field: "reduction_factor", absent: 1.0, want: 16, accepts: isNumber},
}

// hubIgnored are fields that act in training only, or belong to a feature that the rules
// refuse.
var hubIgnored = []string{
	"init_weights", "init_weights_seed", "dropout", "stochastic_depth",
	"adapter_residual_before_ln", "inv_adapter_reduction_factor",
	"phm_dim", "phm_bias", "phm_c_init", "phm_init_range", "phm_rank", "learn_phm", "hypercomplex_nonlinearity",
	"factorized_phm_W", "factorized_phm_rule", "shared_W_phm", "shared_phm_rule",
}

// isNumber accepts one number, whose meaning the tensors' shapes say better. An object has a
// number for each block: a bank has one bottleneck.
func isNumber(v any) bool {
	_, ok := v.(float64)
	return ok
}

// isEmpty accepts null and [].
func isEmpty(v any) bool {
	list, ok := v.([]any)
	return v == nil || ok && len(list) == 0
}

// readHubConfig reads the configuration of the adapter in dir and refuses those that
// this package cannot run as they were trained.
func readHubConfig(dir string) (hubConfig, error) {
	b, path, err := readConfig(dir)
	if err != nil {
		return hubConfig{}, err
	}
	c, err := decodeHubConfig(b, path)
	if err != nil {
		return hubConfig{}, err
	}
	if c.ModelType != "bert" {
		return hubConfig{}, unsupportedJSON(path, "model_type", c.ModelType, "bert")
	}
	if c.ModelClass != "" && !strings.HasPrefix(c.ModelClass, "Bert") {
		return hubConfig{}, unsupportedJSON(path, "model_class", c.ModelClass, "BertAdapterModel")
	}
	return c, checkHubRules(path, c.Config, hubRules, hubIgnored)
}

func decodeHubConfig(b []byte, path string) (c hubConfig, err error) {
	if err := decodeConfig(b, path, &c); err != nil {
		return c, err
	}
	if c.PEFTType != "" {
		return c, unsupportedJSON(path, "peft_type", c.PEFTType, nil)
	}
	if c.Name == "" || c.Config == nil {
		return c, fmt.Errorf("%s: %w", path, corruptf("no name or no config of an adapter"))
	}
	return c, nil
}

// checkHubRules also refuses a field that no rule knows, unless it is off: a later version of the
// library may have added a feature.
func checkHubRules(path string, config map[string]any, rules []hubRule, ignored []string) error {
	for _, r := range rules {
		v, ok := config[r.field]
		if !ok {
			v = r.absent
		}
		if r.accepts == nil && v != r.want || r.accepts != nil && !r.accepts(v) {
			return unsupportedJSON(path, r.field, v, r.want)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(config)) {
		known := slices.Contains(ignored, field) ||
			slices.ContainsFunc(rules, func(r hubRule) bool { return r.field == field })
		if v := config[field]; !known && v != false && !isOff(v) {
			return unsupportedJSON(path, field, v, false)
		}
	}
	return nil
}

func unsupportedJSON(path, field string, got, want any) error {
	text := func(v any) string {
		b, _ := json.Marshal(v) // it came from JSON
		return string(b)
	}
	return &UnsupportedError{Path: path, Field: field, Value: text(got), Want: text(want)}
}

// readConfig is an adapter's configuration, of at most hubConfigMax bytes, and where it is.
func readConfig(dir string) (b []byte, path string, err error) {
	path = filepath.Join(dir, hubConfigName)
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("bank: %w", err)
	}
	defer f.Close()
	if b, err = io.ReadAll(io.LimitReader(f, hubConfigMax+1)); err != nil {
		return nil, "", fmt.Errorf("bank: %w", err)
	}
	if len(b) > hubConfigMax {
		return nil, "", fmt.Errorf("%s: %w", path, corruptf("more than %d bytes", hubConfigMax))
	}
	return b, path, nil
}
