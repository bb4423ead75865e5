//go:build torch && cgo

package torch

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/model"
)

// tiny describes a seeded model small enough to be computed again in plain Go.
type tiny struct {
	L, d, heads int
	act         string
	pooling     model.Pooling
}

var tinies = []tiny{
	{L: 3, d: 16, heads: 2, act: "relu", pooling: model.PoolMean},
	{L: 2, d: 12, heads: 3, act: "gelu_new", pooling: model.PoolCLS},
	{L: 2, d: 16, heads: 1, act: "gelu", pooling: model.PoolPooler},
}

func (m tiny) config() model.Config {
	return model.Config{
		ModelType: "bert", VocabSize: 40, HiddenSize: m.d, NumHiddenLayers: m.L, NumAttentionHeads: m.heads,
		IntermediateSize: 2*m.d + 3,
		HiddenAct:        m.act, MaxPositionEmbeddings: 16, TypeVocabSize: 2, LayerNormEps: 1e-12,
		PositionEmbeddingType: "absolute",
	}
}

// shapes are the weights', by name.
func (m tiny) shapes() map[string][]int64 {
	d, wide := int64(m.d), int64(2*m.d+3)
	shapes := map[string][]int64{
		"embeddings.word_embeddings.weight": {40, d}, "embeddings.position_embeddings.weight": {16, d},
		"embeddings.token_type_embeddings.weight": {2, d},
	}
	linear := func(name string, out, in int64) {
		shapes[name+".weight"], shapes[name+".bias"] = []int64{out, in}, []int64{out}
	}
	norm := func(name string) { shapes[name+".weight"], shapes[name+".bias"] = []int64{d}, []int64{d} }
	norm("embeddings.LayerNorm")
	for l := range m.L {
		block := fmt.Sprintf("encoder.layer.%d.", l)
		for _, name := range []string{"self.query", "self.key", "self.value", "output.dense"} {
			linear(block+"attention."+name, d, d)
		}
		linear(block+"intermediate.dense", wide, d)
		linear(block+"output.dense", d, wide)
		norm(block + "attention.output.LayerNorm")
		norm(block + "output.LayerNorm")
	}
	if m.pooling == model.PoolPooler {
		linear("pooler.dense", d, d)
	}
	return shapes
}

// open writes the model's folder and opens its encoder until the test ends.
func (m tiny) open(t testing.TB) *model.Encoder {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(m.config())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.json"), config)
	if mode := map[model.Pooling]string{model.PoolMean: "mean_tokens",
		model.PoolCLS: "cls_token"}[m.pooling]; mode != "" {
		if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "1_Pooling", "config.json"), []byte(`{"pooling_mode_`+mode+`":true}`))
	}
	file, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := safetensors.Write(file, m.tensors(), nil); err != nil {
		t.Fatal(err)
	}
	c, err := model.OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := model.NewEncoder(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	if enc.Pooling() != m.pooling {
		t.Fatalf("got pooling %v, want %v", enc.Pooling(), m.pooling)
	}
	return enc
}

func (m tiny) tensors() (tensors []safetensors.Tensor) {
	for name, shape := range m.shapes() {
		seed := uint64(0)
		for _, c := range []byte(name) {
			seed = seed*31 + uint64(c)
		}
		rng := rand.New(rand.NewPCG(seed, uint64(m.d)))
		var data []byte
		for range shape[0] * append(shape, 1)[1] {
			v := float32(rng.NormFloat64() * 0.3)
			if strings.HasSuffix(name, "LayerNorm.weight") {
				v++
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: "F32", Shape: shape, Data: data})
	}
	return tensors
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tinyTexts are of three lengths; the last one is a pair.
var tinyTexts = []model.Encoding{
	{IDs: []int32{2, 7, 9, 30, 3}, TypeIDs: make([]int32, 5)},
	{IDs: []int32{2, 3}, TypeIDs: make([]int32, 2)},
	{IDs: []int32{2, 39, 38, 3, 5, 6, 3}, TypeIDs: []int32{0, 0, 0, 0, 1, 1, 1}},
	{IDs: []int32{2, 11, 3}, TypeIDs: make([]int32, 3)},
	{IDs: []int32{2, 21, 8, 17, 3}, TypeIDs: make([]int32, 5)},
}

// kind is which parts an adapter has.
type kind struct {
	relu, norm, bias bool
	targets          model.Targets
}

var kinds = []kind{{norm: true}, {relu: true, bias: true}, {relu: true, norm: true, bias: true}, {},
	{targets: model.Query | model.Value}, {targets: model.Query | model.Key | model.Value}}

// adapter is a random one.
func (k kind) adapter(seed uint64, blocks, d, b int) *model.Adapter {
	rng := rand.New(rand.NewPCG(seed, 9))
	values := func(n int, mean, scale float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(mean + scale*rng.NormFloat64())
		}
		return x
	}
	if k.targets != 0 {
		b = 2 * k.targets.Count()
	}
	a := &model.Adapter{Blocks: blocks, Bottleneck: b, Targets: k.targets,
		Down: values(blocks*d*b, 0, 1/math.Sqrt(float64(d))),
		Up:   values(blocks*d*b, 0, 0.2)}
	if k.relu {
		a.Activation = model.ReLU
	}
	if k.bias {
		a.DownBias, a.UpBias = values(blocks*b, 0.2, 0.3), values(blocks*d, 0, 0.3)
	}
	if k.norm {
		for range blocks {
			a.Norm = append(a.Norm, append(values(b, 1, 0.2), values(b, 0, 0.2)...)...)
		}
	}
	return a
}
