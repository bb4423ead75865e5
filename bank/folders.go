package bank

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// adapterFile is the open file of one adapter of another library.
type adapterFile struct {
	path, name string
	// the path of its configuration; the model that it was trained in, "" if that is not said, and
	// the field of the configuration that says it
	config, base, baseField    string
	file                       *safetensors.File
	tensors                    map[place]safetensors.Tensor
	blocks, hidden, bottleneck int
	targets                    model.Targets // of a LoRA
	row                        func(side Side, block int) (weights, bias []float32, err error)
}

// place is what a tensor is of an adapter: a weight of a side, or its bias; of LoRAs those of a
// target.
type place struct {
	block  int
	target model.Targets
	side   Side
	bias   bool
}

// naming is how a kind of file calls its tensors.
type naming struct {
	files  []string // that hold the weights, in the order of preference
	pickle string
	what   string                // the tensors are of
	form   string                // of their names
	isHead func(key string) bool // of a prediction head, saved into the same file
	parse  func(key string) (p place, ok bool)
}

// open maps the weights in dir and finds their tensors, which check then looks at.
func (a *adapterFile) open(dir string, n naming, check func() error) (_ *adapterFile, err error) {
	if a.file, a.path, err = openWeights(dir, n.files, n.pickle); err != nil {
		return nil, err
	}
	if err = a.find(n); err == nil {
		err = check()
	}
	if err != nil {
		a.file.Close()
		return nil, err
	}
	return a, nil
}

func (a *adapterFile) find(n naming) error {
	a.tensors = map[place]safetensors.Tensor{}
	for _, t := range a.file.Tensors() {
		if n.isHead(t.Name) {
			continue
		}
		at, ok := n.parse(t.Name)
		if !ok {
			return &UnsupportedError{Path: a.path, Field: "tensor", Value: t.Name, Want: n.form}
		}
		if before, ok := a.tensors[at]; ok {
			return a.corruptf("tensor %s is there twice, also as %s", t.Name, before.Name)
		}
		a.tensors[at] = t
		a.blocks, a.targets = max(a.blocks, at.block+1), a.targets|at.target
	}
	if len(a.tensors) == 0 {
		return a.corruptf("no tensors of %s", n.what)
	}
	return nil
}

// parseBlock reads a block's number.
func parseBlock(number string) (block int, ok bool) {
	block, err := strconv.Atoi(number)
	return block, err == nil && block >= 0 && block < MaxBlocks && strconv.Itoa(block) == number
}

// ImportAdapters opens adapters that other libraries saved in dirs, one in each, in this order. All
// are of the kind of the first:
//
//   - bottleneck adapters of the `adapters` library, as [ImportAdapterHub] has them;
//   - LoRAs of peft (save_pretrained) or of `adapters`, in BERT, RoBERTa, XLM-R or DistilBERT, over
//     the attention's query, key and value, some or all of these, the same in each adapter and
//     block. Properties has their Targets; the bank's Bottleneck is their rank by the targets'
//     number. A LoRA's scale, α/r, becomes a part of its B. Heads that are saved beside are left
//     out.
//
// What a bank cannot run as it was trained is an *UnsupportedError that names the field of
// adapter_config.json, the tensor or the file.
func ImportAdapters(dirs []string) (*Import, error) {
	if len(dirs) > 0 {
		lora, err := isLoRA(dirs[0])
		if err != nil {
			return nil, err
		}
		if lora {
			return importAll(dirs, openLoRA)
		}
	}
	return ImportAdapterHub(dirs)
}

// isLoRA says of which kind the adapter in a folder is.
func isLoRA(dir string) (bool, error) {
	b, _, err := readConfig(dir)
	if err != nil {
		return false, err
	}
	var c struct {
		PEFTType string `json:"peft_type"`
		Config   struct {
			Architecture any `json:"architecture"`
		} `json:"config"`
	}
	// What does not fit is for the kind's own reader to say.
	return json.Unmarshal(b, &c) == nil && (c.PEFTType != "" || c.Config.Architecture == "lora"), nil
}

// importAll opens one adapter after another and compares each with those before it.
func importAll(dirs []string, open func(dir string) (*adapterFile, error)) (*Import, error) {
	if len(dirs) < 1 || len(dirs) > MaxAdapters {
		return nil, invalidf("%d adapters, want 1 to %d", len(dirs), MaxAdapters)
	}
	m := &Import{}
	for _, dir := range dirs {
		a, err := open(dir)
		if err != nil {
			m.Close()
			return nil, err
		}
		earlier := m.adapters
		m.adapters = append(m.adapters, a)
		m.Names = append(m.Names, a.name)
		if err := cmp.Or(a.sameBase(earlier), a.sameShape(m.adapters[0])); err != nil {
			m.Close()
			return nil, err
		}
	}
	first := m.adapters[0]
	m.Properties = Properties{
		Origin: Warm, N: len(dirs), Blocks: first.blocks, Hidden: first.hidden, Bottleneck: first.bottleneck,
		Targets: first.targets,
	}
	if first.targets == 0 {
		m.Properties.Activation, m.Properties.Bias = ReLU, true
	}
	if err := m.Properties.Validate(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// baseModel is a base model's name. Hugging Face moved BERT's own checkpoints to a name of
// Google's and serves them under both.
func baseModel(name string) string {
	if rest, ok := strings.CutPrefix(name, "google-bert/"); ok {
		return rest
	}
	return name
}

// sameBase compares an adapter with those before it in its bank. One adapts the states of the
// model that it was trained in, and means nothing to another's.
func (a *adapterFile) sameBase(before []*adapterFile) error {
	for _, b := range before {
		if a.base != "" && b.base != "" && a.base != b.base {
			return &UnsupportedError{
				Path: a.config, Field: a.baseField, Value: strconv.Quote(a.base),
				Want: fmt.Sprintf("%q as in %s", b.base, b.config),
			}
		}
	}
	return nil
}

// sameShape compares an adapter with the first one of its bank.
func (a *adapterFile) sameShape(first *adapterFile) error {
	if a.targets != first.targets {
		return &UnsupportedError{Path: a.path, Field: "targets", Value: a.targets.String(),
			Want: fmt.Sprintf("%s as in %s", first.targets, first.path)}
	}
	dims := []struct {
		field     string
		got, want int
	}{
		{"blocks", a.blocks, first.blocks},
		{"hidden size", a.hidden, first.hidden},
		{"bottleneck", a.bottleneck, first.bottleneck},
	}
	for _, d := range dims {
		if d.got != d.want {
			return &UnsupportedError{
				Path: a.path, Field: d.field, Value: strconv.Itoa(d.got),
				Want: fmt.Sprintf("%d as in %s", d.want, first.path),
			}
		}
	}
	return nil
}

func (a *adapterFile) corruptf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", a.path, corruptf(format, args...))
}

// float32s are a tensor's values.
func (a *adapterFile) float32s(t safetensors.Tensor) ([]float32, error) {
	v, err := safetensors.Float32s(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.path, err)
	}
	return v, nil
}

// checkType wants numbers that a bank can have.
func (a *adapterFile) checkType(t safetensors.Tensor) error {
	if slices.Contains([]string{"F32", "F16", "BF16"}, t.DType) {
		return nil
	}
	return &UnsupportedError{Path: a.path, Field: "dtype of " + t.Name, Value: t.DType, Want: "F32, F16 or BF16"}
}

// decodeConfig reads a configuration that was read from path.
func decodeConfig(b []byte, path string, into any) error {
	err := json.Unmarshal(b, into)
	if err == nil {
		return nil
	}
	if what := safetensors.Foreign(b); what != "" {
		return fmt.Errorf("%s: %w", path, corruptf("%s", what))
	}
	return fmt.Errorf("%s: %w", path, corruptf("%v", err))
}
