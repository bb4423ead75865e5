package bank

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

const loraDir = "testdata/lora/"

// smallLoRA fits the encoder in testdata, as smallWarm does.
func smallLoRA(dtype DType) Properties {
	return Properties{Origin: Warm, N: 20, Blocks: 2, Hidden: 32, Bottleneck: 6, DType: dtype,
		Targets: model.Query | model.Value}
}

// loraBank imports adapters of testdata/lora into a bank, through its file.
func loraBank(t *testing.T, names ...string) *Bank {
	t.Helper()
	var dirs []string
	for _, name := range names {
		dirs = append(dirs, loraDir+name)
	}
	m, err := ImportAdapters(dirs)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !cmp.Equal(m.Names, names) {
		t.Errorf("names: got %q, want %q", m.Names, names)
	}
	path := filepath.Join(t.TempDir(), "bank")
	if _, err := WriteFile(context.Background(), path, m.Properties, nil, m.Row); err != nil {
		t.Fatal(err)
	}
	file, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := FromFile(file)
	t.Cleanup(func() { b.Close() })
	return b
}

// chosen folds the same adapters of each side in every block.
func chosen(t *testing.T, b *Bank, down, up []int) *model.Adapter {
	t.Helper()
	m := randomMask(t, b.Properties(), len(down), 1)
	for l := range m.Blocks {
		for side, ids := range [][]int{down, up} {
			clear(m.Row(Side(side), l))
			for _, i := range ids {
				m.Row(Side(side), l).Set(i)
			}
		}
	}
	return fold(t, b, m, nil)
}

// TestLoRAParity runs imported LoRAs from end to end: import, bank file, fold, encoder; it compares
// with models that peft and adapters merged them into, and with numpy's mean of three of them
// (testdata/lora/make.py). A bottleneck adapter and a bare text are in the same batch.
func TestLoRAParity(t *testing.T) {
	expected := golden.Open(t, "../../bank/"+loraDir+"expected.safetensors")
	enc, d := openEncoder(t), 32
	two, three := loraBank(t, "gamma", "delta", "omega"), loraBank(t, "qkv")
	other := fold(t, openBank(t, smallWarm(F32, true)), randomMask(t, smallWarm(F32, true), 3, 1), nil)
	as := []*model.Adapter{chosen(t, two, []int{0}, []int{0}), chosen(t, two, []int{1}, []int{1}),
		chosen(t, two, []int{2}, []int{2}), chosen(t, two, []int{0, 2}, []int{1, 2}),
		chosen(t, three, []int{0}, []int{0}), nil, other}
	texts := expectedTexts(expected)
	T := int(expected.Shape("input_ids")[1])
	var all []model.Encoding
	var owner []int
	for o := range as {
		for _, text := range texts {
			all, owner = append(all, text), append(owner, o)
		}
	}
	got, at := embed(t, enc, all, as, owner), 0
	for _, name := range []string{"gamma", "delta", "omega", "mean", "qkv"} {
		hidden := expected.Floats("hidden." + name)
		for i, text := range texts {
			want := pooled(enc, hidden[i*T*d:], len(text.IDs))
			golden.Near(t, name, got[at], want, 1e-5, 0)
			if bare := embed(t, enc, texts[i:i+1], nil, nil)[0]; furthest(got[at], bare) < 0.1 {
				t.Errorf("%s: a LoRA that changes little shows nothing", name)
			}
			at++
		}
	}
}

func furthest(a, b []float32) (worst float64) {
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

// expectedTexts are a golden file's, without their padding.
func expectedTexts(f golden.File) []model.Encoding {
	ids, types, mask, shape := f.Ints("input_ids"), f.Ints("token_type_ids"), f.Ints("attention_mask"),
		f.Shape("input_ids")
	texts := make([]model.Encoding, shape[0])
	for i, on := range mask {
		if text := &texts[i/int(shape[1])]; on == 1 {
			text.IDs, text.TypeIDs = append(text.IDs, int32(ids[i])), append(text.TypeIDs, int32(types[i]))
		}
	}
	return texts
}

// TestLoRAUpper: what needs a block's input is refused above it, and right from the block below on.
func TestLoRAUpper(t *testing.T) {
	enc, p := openEncoder(t), smallLoRA(F32)
	p.Blocks = 1
	deep := fold(t, openBank(t, smallLoRA(F32)), randomMask(t, smallLoRA(F32), 2, 1), nil)
	last := fold(t, openBank(t, p), randomMask(t, p, 2, 1), nil)
	text, x := someTexts(1), make([]float32, 32)
	for from, fits := range map[int]*model.Adapter{0: last, 1: nil} {
		stems, err := enc.Stems(text, from, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, a := range map[string]*model.Adapter{"all blocks": deep, "the last": last} {
			err := enc.Upper(text, stems, from, []int{0}, []*model.Adapter{a}, x, nil, nil)
			if (err == nil) != (a == fits) {
				t.Errorf("a LoRA in %s above block %d: got %v", name, from, err)
			}
			want := embed(t, enc, text, []*model.Adapter{a}, []int{0})[0][:32]
			if err == nil && !slices.Equal(x, want) {
				t.Errorf("a LoRA in %s above block %d: got another vector than of a whole pass", name, from)
			}
		}
	}
}

// spoiled is a copy of a LoRA's folder with other fields or tensors.
func spoiled(t *testing.T, name string, fields map[string]any,
	change func([]safetensors.Tensor) []safetensors.Tensor) string {
	t.Helper()
	dir, weights := t.TempDir(), "adapter_model.safetensors"
	if name == "omega" {
		weights = "adapter.safetensors"
	}
	b, err := os.ReadFile(loraDir + name + "/adapter_config.json")
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	inner := config
	if name == "omega" {
		inner = config["config"].(map[string]any)
	}
	for k, v := range fields {
		inner[k] = v
	}
	b, err = json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "adapter_config.json"), b)
	f, err := safetensors.Open(loraDir + name + "/" + weights)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := slices.Clone(f.Tensors())
	if change != nil {
		tensors = change(tensors)
	}
	out, err := os.Create(filepath.Join(dir, weights))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := safetensors.Write(out, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLoRARefusesByField what a bank cannot run as it was trained.
func TestLoRARefusesByField(t *testing.T) {
	for _, tt := range []struct {
		name, field string
		value       any
	}{
		{"gamma", "peft_type", "LOHA"}, {"gamma", "bias", "all"}, {"gamma", "use_dora", true},
		{"gamma", "fan_in_fan_out", true}, {"gamma", "init_lora_weights", "pissa"}, {"gamma", "r", nil},
		{"gamma", "lora_alpha", "8"}, {"gamma", "modules_to_save", []any{"classifier", "pooler"}},
		{"gamma", "target_modules", []any{"query", "dense"}}, {"gamma", "target_modules", []any{"query."}},
		{"gamma", "target_modules", []any{}},
		{"gamma", "target_modules", `.*\.0\..*query`}, {"gamma", "target_modules", []any{"layer.0.attention.self.query"}},
		{"gamma", "exclude_modules", `.*\.1\..*`}, {"gamma", "target_modules", []any{3}},
		{"gamma", "layers_to_transform", []any{1}}, {"gamma", "rank_pattern", map[string]any{"query": 2}},
		{"gamma", "alpha_pattern", map[string]any{"query": 2}}, {"gamma", "a_later_feature", "on"},
		{"gamma", "lora_bias", true}, {"omega", "selfattn_lora", false}, {"omega", "intermediate_lora", true},
		{"omega", "output_lora", true}, {"omega", "composition_mode", "scale"}, {"omega", "use_gating", true},
		{"omega", "leave_out", []any{0}}, {"omega", "vera_d", 0.1}, {"omega", "alpha", nil}, {"omega", "use_dora", true},
	} {
		_, err := ImportAdapters([]string{spoiled(t, tt.name, map[string]any{tt.field: tt.value}, nil)})
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Field != tt.field {
			t.Errorf("%s of %s = %v: got %v, want an UnsupportedError of it", tt.field, tt.name, tt.value, err)
		}
	}
	// peft's file where the bank's first is one of adapters, and the other way round.
	for _, dirs := range [][]string{{"omega", "../adapterhub/alpha"}, {"../adapterhub/alpha", "omega"},
		{"../adapterhub/alpha", "gamma"}} {
		if _, err := ImportAdapters([]string{loraDir + dirs[0], loraDir + dirs[1]}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v: got %v, want ErrUnsupported", dirs, err)
		}
	}
}

// TestLoRARefusesFiles with what is no LoRA of one rank in every block.
func TestLoRARefusesFiles(t *testing.T) {
	type tensors = []safetensors.Tensor
	rename := func(from, to string) func(tensors) tensors {
		return func(all tensors) tensors {
			for i := range all {
				all[i].Name = strings.Replace(all[i].Name, from, to, 1)
			}
			return all
		}
	}
	for _, tt := range []struct {
		name   string
		fields map[string]any
		change func(tensors) tensors
		want   string
		is     error
	}{
		{"rank", map[string]any{"r": 3}, nil, "want [3 32]", ErrCorrupt},
		{"half a rank", map[string]any{"r": 3.5}, nil, "a rank of 3.5", ErrCorrupt},
		{"no rank", map[string]any{"r": 0}, nil, "a rank of 0", ErrCorrupt},
		{"a tensor less", nil, func(all tensors) tensors { return all[1:] }, "which another block has", ErrCorrupt},
		{"none", nil, func(tensors) tensors { return nil }, "no tensors", ErrCorrupt},
		{"a block apart", nil, rename("layer.1.", "layer.2."), "block 1: no", ErrCorrupt},
		{"a far block", nil, rename("layer.1.", "layer.1024."), "tensor", ErrUnsupported},
		{"block 01", nil, rename("layer.1.", "layer.01."), "tensor", ErrUnsupported},
		{"feed-forward", nil, rename("attention.self.query", "intermediate.dense"), "tensor", ErrUnsupported},
		{"magnitudes", nil, rename("lora_A.weight", "lora_magnitude_vector"), "tensor", ErrUnsupported},
		{"pooler", nil, rename("classifier.weight", "bert.pooler.dense.weight"), "tensor", ErrUnsupported},
		{"integers", nil, func(all tensors) tensors { all[2].DType = "I32"; return all }, "dtype", ErrUnsupported},
		{"vector", nil, func(all tensors) tensors { all[2].Shape = []int64{128}; return all }, "shape [128]", ErrCorrupt},
		{"twice", nil, rename("model.bert.encoder.layer.1.", "model.encoder.layer.0."), "twice", ErrCorrupt},
		{"too large", map[string]any{"lora_alpha": 1e300}, nil, "", ErrInvalid},
	} {
		m, err := ImportAdapters([]string{spoiled(t, "gamma", tt.fields, tt.change)})
		if err == nil { // what only the numbers show
			_, err = Write(context.Background(), &memory{}, m.Properties, nil, m.Row)
			m.Close()
		}
		if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %v about %q", tt.name, err, tt.is, tt.want)
		}
	}
	var unsupported *UnsupportedError
	if _, err := ImportAdapters([]string{loraDir + "gamma", loraDir + "qkv"}); !errors.As(err, &unsupported) ||
		unsupported.Field != "targets" {
		t.Errorf("other targets: got %v, want an UnsupportedError of targets", err)
	}
	based := func(name string) string {
		return spoiled(t, "gamma", map[string]any{"base_model_name_or_path": name}, nil)
	}
	if _, err := ImportAdapters([]string{based("a"), based("b")}); !errors.As(err, &unsupported) ||
		unsupported.Field != "base_model_name_or_path" {
		t.Errorf("two bases: got %v, want an UnsupportedError of base_model_name_or_path", err)
	}
}

// TestLoRAFamilies: the same tensors under the names of other encoders, with lists of modules as
// people write them.
func TestLoRAFamilies(t *testing.T) {
	for from, to := range map[string]string{"bert.encoder": "roberta.encoder", "model.bert.encoder": "model.encoder",
		"bert.encoder.layer.": "distilbert.transformer.layer."} {
		targets := []any{"attention.self.query", "value"}
		if strings.Contains(to, "distilbert") {
			targets = []any{"q_lin", "v_lin"}
		}
		dir := spoiled(t, "gamma", map[string]any{"target_modules": targets}, func(all []safetensors.Tensor) []safetensors.Tensor {
			for i := range all {
				name := strings.Replace(all[i].Name, from, to, 1)
				if strings.Contains(to, "distilbert") {
					name = strings.NewReplacer("attention.self.query", "attention.q_lin",
						"attention.self.value", "attention.v_lin").Replace(name)
				}
				all[i].Name = name
			}
			return all
		})
		m, err := ImportAdapters([]string{dir})
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		want := smallLoRA(F32)
		want.N, want.Bottleneck = 1, 8
		if diff := cmp.Diff(want, m.Properties); diff != "" {
			t.Errorf("%s (-want +got):\n%s", to, diff)
		}
		m.Close()
	}
}

// TestEncodePEFT: what is written is imported again as the same adapter, under the names of each
// encoder. TestPythonLoRA has peft load it.
func TestEncodePEFT(t *testing.T) {
	want := chosen(t, loraBank(t, "gamma", "delta", "omega"), []int{0, 2}, []int{1, 2})
	for _, kind := range []string{"bert", "distilbert"} {
		dir := t.TempDir()
		config, weights, err := EncodePEFT(want, 2, kind)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "adapter_config.json"), config)
		writeFile(t, filepath.Join(dir, "adapter_model.safetensors"), weights)
		m, err := ImportAdapters([]string{dir})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		defer m.Close()
		for l := range 2 {
			for side, all := range [][]float32{want.Down, want.Up} {
				row, _, err := m.Row(Side(side), l, 0)
				if n := len(row); err != nil || !slices.Equal(row, all[l*n:(l+1)*n]) {
					t.Errorf("%s: block %d, %v: got other weights, %v", kind, l, Side(side), err)
				}
			}
		}
	}
	_, weights, err := EncodePEFT(want, 5, "bert") // of a bank in the last blocks
	if err != nil || strings.Contains(string(weights), "layer.2.") || !strings.Contains(string(weights), "layer.4.") {
		t.Errorf("the last two of five blocks: got others, %v", err)
	}
	other := fold(t, openBank(t, smallWarm(F32, false)), randomMask(t, smallWarm(F32, false), 3, 1), nil)
	if _, _, err := EncodePEFT(other, 2, "bert"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no LoRA: got %v, want ErrUnsupported", err)
	}
}
