package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// expectedWeight is a tensor's canonical name and its shape.
type expectedWeight struct {
	name  string
	shape []int64
}

const (
	typesName     = "embeddings.token_type_embeddings.weight"
	positionsName = "embeddings.position_embeddings.weight"
)

// expectedWeights is the one list of what a BERT of this config consists of.
func expectedWeights(c Config, pooler bool) []expectedWeight {
	h, f := int64(c.HiddenSize), int64(c.IntermediateSize)
	var out []expectedWeight
	add := func(name string, shape ...int64) { out = append(out, expectedWeight{name, shape}) }
	norm := func(name string) {
		add(name+".weight", h)
		add(name+".bias", h)
	}
	linear := func(name string, rows, cols int64) {
		add(name+".weight", rows, cols)
		add(name+".bias", rows)
	}
	add("embeddings.word_embeddings.weight", int64(c.VocabSize), h)
	add(positionsName, int64(c.MaxPositionEmbeddings+c.FirstPosition), h)
	add(typesName, int64(c.TypeVocabSize), h)
	norm("embeddings.LayerNorm")
	for l := range c.NumHiddenLayers {
		block := fmt.Sprintf("encoder.layer.%d.", l)
		linear(block+"attention.self.query", h, h)
		linear(block+"attention.self.key", h, h)
		linear(block+"attention.self.value", h, h)
		linear(block+"attention.output.dense", h, h)
		norm(block + "attention.output.LayerNorm")
		linear(block+"intermediate.dense", f, h)
		linear(block+"output.dense", h, f)
		norm(block + "output.LayerNorm")
	}
	if pooler {
		linear("pooler.dense", h, h)
	}
	return out
}

// mapper knows how a file spells the canonical names.
type mapper struct {
	file   *safetensors.File
	config Config
	prefix string // "bert." or the family's, or none
}

func newMapper(file *safetensors.File, c Config) (mapper, error) {
	const probe = "embeddings.word_embeddings.weight"
	prefix := c.family().prefix
	_, bare := file.Lookup(probe)
	_, prefixed := file.Lookup(prefix + probe)
	switch {
	case bare && prefixed:
		return mapper{}, checkpointf("tensor %q is there with and without the prefix %s", probe, prefix)
	case prefixed:
		return mapper{file, c, prefix}, nil
	}
	return mapper{file, c, ""}, nil // if bare is false too, find names the tensor
}

// hasPooler reports whether the pooler is there; half of one is an error.
func (m mapper) hasPooler() (bool, error) {
	_, weight := m.file.Lookup(m.prefix + "pooler.dense.weight")
	_, bias := m.file.Lookup(m.prefix + "pooler.dense.bias")
	if weight != bias {
		return false, checkpointf("one of the tensors pooler.dense.weight and pooler.dense.bias is missing")
	}
	return weight, nil
}

// find returns the file's tensor for a canonical name, once its shape and dtype are right.
func (m mapper) find(want expectedWeight) (safetensors.Tensor, error) {
	family, name := m.config.family(), want.name
	if t, ok := family.missing(want); ok {
		return t, nil
	}
	if family.spelling != nil {
		name = family.spelling.Replace(name)
	}
	t, ok := m.file.Lookup(m.prefix + name)
	if old := oldName(name); old != name {
		t2, ok2 := m.file.Lookup(m.prefix + old)
		if ok && ok2 {
			return t, checkpointf("tensors %q and %q are the same one", m.prefix+name, m.prefix+old)
		}
		if ok2 {
			t, ok = t2, true
		}
	}
	switch {
	case !ok:
		return t, checkpointf("no tensor %q, want one of shape %v", m.prefix+name, want.shape)
	case want.name == typesName && want.shape[0] == 1 && !slices.Equal(t.Shape, want.shape):
		return t, unsupportedf("config.json: type_vocab_size 1, but tensor %q of model.safetensors has shape %v: "+
			"want them to agree", t.Name, t.Shape)
	case !slices.Equal(t.Shape, want.shape):
		return t, checkpointf("tensor %q: shape %v, want %v", t.Name, t.Shape, want.shape)
	}
	switch t.DType {
	case "F32", "F16", "BF16":
		return m.config.used(want, t), nil
	}
	return t, checkpointf("tensor %q: dtype %s, want F32, F16 or BF16", t.Name, t.DType)
}

// oldName is what checkpoints converted from TensorFlow call LayerNorm's parameters.
func oldName(name string) string {
	if stem, ok := strings.CutSuffix(name, "LayerNorm.weight"); ok {
		return stem + "LayerNorm.gamma"
	}
	if stem, ok := strings.CutSuffix(name, "LayerNorm.bias"); ok {
		return stem + "LayerNorm.beta"
	}
	return name
}
