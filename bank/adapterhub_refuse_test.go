package bank

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImportRefusesByField(t *testing.T) {
	tests := []struct {
		field string
		value any
	}{
		{"architecture", "lora"},
		{"mh_adapter", true},
		{"output_adapter", false},
		{"cross_adapter", true},
		{"is_parallel", true},
		{"leave_out", []any{0}},
		{"original_ln_before", false},
		{"original_ln_after", false},
		{"residual_before_ln", false},
		{"residual_before_ln", "post_add"},
		{"ln_before", true},
		{"ln_after", true},
		{"non_linearity", "gelu"},
		{"non_linearity", nil},
		{"scaling", 4.0},
		{"scaling", "learned"},
		{"use_gating", true},
		{"phm_layer", true},
		{"inv_adapter", "nice"},
		{"invertible_adapter", map[string]any{"block_type": "nice"}},
		{"reduction_factor", map[string]any{"default": 16, "1": 8}},
		{"reduction_factor", map[string]any{"default": 3}},
		{"reduction_factor", []any{3, 3}},
		{"reduction_factor", "16"},
		{"reduction_factor", nil},
		{"a_later_feature", "on"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.field, tt.value), func(t *testing.T) {
			c := newHubCase("x", 1)
			c.config[tt.field] = tt.value
			wantUnsupported(t, c, tt.field)
		})
	}
	for _, field := range []string{"output_adapter", "original_ln_before", "non_linearity"} {
		t.Run("no "+field, func(t *testing.T) {
			c := newHubCase("x", 1)
			delete(c.config, field)
			wantUnsupported(t, c, field)
		})
	}
}

func wantUnsupported(t *testing.T, c *hubCase, field string) {
	t.Helper()
	m, err := ImportAdapterHub([]string{c.write(t)})
	var unsupported *UnsupportedError
	if !errors.Is(err, ErrUnsupported) || !errors.As(err, &unsupported) || unsupported.Field != field || m != nil {
		t.Errorf("got %v, want an UnsupportedError of %s", err, field)
	}
}

func TestImportRefusesFiles(t *testing.T) {
	tests := []struct {
		name string
		harm func(c *hubCase)
		want string // a part of the message
		is   error
	}{
		{"other model", func(c *hubCase) { c.outer["model_type"] = "roberta" }, "model_type", ErrUnsupported},
		{"other class", func(c *hubCase) { c.outer["model_class"] = "RobertaAdapterModel" }, "model_class",
			ErrUnsupported},
		{"weights as pointer", func(c *hubCase) {
			c.content = "version https://git-lfs.github.com/spec/v1\noid " +
				"sha256:0\n"
		}, "Git LFS pointer", ErrCorrupt},
		{"weights as HTML", func(c *hubCase) { c.content = "<!DOCTYPE html><html></html>" }, "HTML page", ErrCorrupt},
		{"config as HTML", func(c *hubCase) { c.page = "<html></html>" }, "HTML page", ErrCorrupt},
		{"peft", func(c *hubCase) { c.outer["peft_type"] = "LORA" }, "peft_type", ErrUnsupported},
		{"no name", func(c *hubCase) { delete(c.outer, "name") }, "no name", ErrCorrupt},
		{"no config", func(c *hubCase) { c.config = nil }, "no name or no config", ErrCorrupt},
		{"other hidden size", func(c *hubCase) { c.outer["hidden_size"] = 768 }, "hidden size 6", ErrCorrupt},
		{"huge config", func(c *hubCase) { c.outer["x"] = strings.Repeat("x", hubConfigMax) }, "more than", ErrCorrupt},
		{"no weights", func(c *hubCase) { c.file = "" }, "adapter.safetensors", os.ErrNotExist},
		{"pickle", func(c *hubCase) { c.file = hubPickleName }, "pickle", ErrUnsupported},
		{"no tensors", func(c *hubCase) { c.tensors = nil }, "no tensors", ErrCorrupt},
		{"a tensor less", func(c *hubCase) { c.tensors = c.tensors[:7] }, "block 1: no adapter_up.bias", ErrCorrupt},
		{"the first less", func(c *hubCase) { c.tensors = c.tensors[1:] }, "block 0", ErrCorrupt},
		{"a block less", func(c *hubCase) { c.tensors = c.tensors[4:] }, "block 0", ErrCorrupt},
		{"other shape", func(c *hubCase) { c.tensors[2].Shape = []int64{2, 6} }, "block 0: adapter_up.weight",
			ErrCorrupt},
		{"transposed", func(c *hubCase) { c.tensors[0].Shape = []int64{6, 2} }, "hidden size 2", ErrCorrupt},
		{"flat", func(c *hubCase) { c.tensors[0].Shape = []int64{12} }, "shape [12]", ErrCorrupt},
		{"integers", func(c *hubCase) { c.tensors[0].DType = "I32" }, "I32", ErrUnsupported},
		{"attention", func(c *hubCase) { rename(c, ".output.", ".attention.output.") }, "tensor", ErrUnsupported},
		{"other name", func(c *hubCase) { c.outer["name"] = "y" }, "adapters.y", ErrUnsupported},
		{"block -1", func(c *hubCase) { rename(c, "layer.0.", "layer.-1.") }, "tensor", ErrUnsupported},
		{"block 00", func(c *hubCase) { rename(c, "layer.0.", "layer.00.") }, "tensor", ErrUnsupported},
		{"block 10⁹", func(c *hubCase) { rename(c, "layer.0.", "layer.1000000000.") }, "tensor", ErrUnsupported},
		{"twice", func(c *hubCase) { rename(c, "bert.encoder.layer.1", "encoder.layer.0") }, "twice", ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newHubCase("x", 1)
			tt.harm(c)
			_, err := ImportAdapterHub([]string{c.write(t)})
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v about %q", err, tt.is, tt.want)
			}
		})
	}
}

func rename(c *hubCase, from, to string) {
	for i := range c.tensors {
		c.tensors[i].Name = strings.Replace(c.tensors[i].Name, from, to, 1)
	}
}

// TestImportRefusesTwoBases: adapters of two base models make no bank. Both are named, with their
// files.
func TestImportRefusesTwoBases(t *testing.T) {
	of := func(name, base string) string {
		c := newHubCase(name, 1)
		c.outer["model_name"] = base
		return c.write(t)
	}
	english, multilingual := of("english", "bert-base-uncased"), of("multilingual", "bert-base-multilingual-cased")
	moved, unnamed := of("moved", "google-bert/bert-base-uncased"), of("unnamed", "")
	for _, dirs := range [][]string{{english, multilingual}, {multilingual, english},
		{unnamed, english, unnamed, multilingual}} {
		_, err := ImportAdapterHub(dirs)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Field != "model_name" {
			t.Fatalf("got %v, want an UnsupportedError of model_name", err)
		}
		for _, want := range []string{"bert-base-uncased", "bert-base-multilingual-cased", english, multilingual} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to name %s", err, want)
			}
		}
	}
	m, err := ImportAdapterHub([]string{english, moved, unnamed})
	if err != nil {
		t.Fatalf("one base, under two names and none: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// TestImportPerBlock is an adapter whose blocks have bottlenecks of their own: the field is named,
// not the tensor.
func TestImportPerBlock(t *testing.T) {
	c := newHubCase("perblock", 1)
	c.config["reduction_factor"] = map[string]any{"default": 3, "1": 6}
	for i, shape := range [][]int64{{1, hubHidden}, {1}, {hubHidden, 1}, {hubHidden}} {
		c.tensors[4+i].Shape, c.tensors[4+i].Data = shape, make([]byte, 4*product(shape))
	}
	wantUnsupported(t, c, "reduction_factor")
}

func TestImportRefusesUnequalShapes(t *testing.T) {
	first := newHubCase("x", 1).write(t)
	fewer := newHubCase("x", 2)
	fewer.tensors = fewer.tensors[:4]
	narrow := newHubCase("x", 2)
	narrow.resize(hubHidden, 1)
	small := newHubCase("x", 2)
	small.resize(4, hubBottleneck)
	for field, c := range map[string]*hubCase{"blocks": fewer, "bottleneck": narrow, "hidden size": small} {
		_, err := ImportAdapterHub([]string{first, c.write(t)})
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Field != field {
			t.Errorf("got %v, want an UnsupportedError of %s", err, field)
		}
	}
	if _, err := ImportAdapterHub(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("no adapters: got %v, want ErrInvalid", err)
	}
	if _, err := ImportAdapterHub([]string{t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: got %v, want os.ErrNotExist", err)
	}
	broken := newHubCase("x", 1).write(t)
	writeFile(t, filepath.Join(broken, "adapter.safetensors"), []byte("not one of these"))
	if _, err := ImportAdapterHub([]string{broken}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("broken weights: got %v, want ErrCorrupt", err)
	}
}
