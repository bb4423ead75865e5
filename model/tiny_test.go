package model

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// tiny describes a seeded model small enough to be computed again in plain Go.
type tiny struct {
	L, H, heads int
	wide        int // the feed-forward layer's inner size; 2·H + 3 if 0
	act         string
	pooler      bool
	pooling     string // of 1_Pooling/config.json: "mean_tokens", "cls_token" or none
}

var tinyDefault = tiny{L: 2, H: 32, heads: 2, act: "gelu", pooling: "mean_tokens"}

func (m tiny) config() Config {
	wide := m.wide
	if wide == 0 {
		wide = 2*m.H + 3
	}
	return Config{
		ModelType: "bert", VocabSize: 40, HiddenSize: m.H, NumHiddenLayers: m.L, NumAttentionHeads: m.heads,
		IntermediateSize: wide,
		HiddenAct:        m.act, MaxPositionEmbeddings: 16, TypeVocabSize: 2, LayerNormEps: 1e-12,
		PositionEmbeddingType: "absolute",
	}
}

// weights are the same for the same shapes, by name.
func (m tiny) weights() map[string][]float32 {
	rng := rand.New(rand.NewPCG(uint64(m.L), uint64(m.H)))
	out := map[string][]float32{}
	for _, w := range expectedWeights(m.config(), m.pooler) {
		n := 1
		for _, d := range w.shape {
			n *= int(d)
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64() * 0.3)
			if strings.HasSuffix(w.name, "LayerNorm.weight") {
				v[i]++
			}
		}
		out[w.name] = v
	}
	return out
}

// write makes the model's folder. encode turns a weight into bytes of that dtype.
func (m tiny) write(t testing.TB, weights map[string][]float32, prefix, dtype string,
	encode func([]byte, float32) []byte) string {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(m.config())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "config.json", string(config))
	if m.pooling != "" {
		if err := os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, "1_Pooling/config.json", `{"pooling_mode_`+m.pooling+`":true}`)
	}
	tensors := map[string]safetensors.Tensor{}
	for _, w := range expectedWeights(m.config(), m.pooler) {
		var data []byte
		for _, v := range weights[w.name] {
			data = encode(data, v)
		}
		tensors[w.name] = safetensors.Tensor{Name: prefix + w.name, DType: dtype, Shape: w.shape, Data: data}
	}
	writeFile(t, dir, "model.safetensors", string(encodeWeights(t, tensors)))
	return dir
}

func (m tiny) writeF32(t testing.TB) string {
	t.Helper()
	return m.write(t, m.weights(), "", "F32", appendF32)
}

func appendF32(b []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}

// openEncoder loads a folder until the test ends.
func openEncoder(t testing.TB, dir string) *Encoder {
	t.Helper()
	c, err := OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := NewEncoder(c)
	if err != nil {
		c.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	return enc
}

// tinyTexts are of three lengths; the last one is a pair.
var tinyTexts = []Encoding{
	{IDs: []int32{2, 7, 9, 30, 3}, TypeIDs: make([]int32, 5)},
	{IDs: []int32{2, 3}, TypeIDs: make([]int32, 2)},
	{IDs: []int32{2, 39, 38, 3, 5, 6, 3}, TypeIDs: []int32{0, 0, 0, 0, 1, 1, 1}},
}

// embed is each text's vector; owner says whose adapter it has.
func embed(t testing.TB, enc *Encoder, texts []Encoding, owner []int, as []*Adapter) []float32 {
	t.Helper()
	x := make([]float32, len(texts)*enc.Hidden())
	if err := enc.Embed(texts, owner, as, x, nil, nil); err != nil {
		t.Fatal(err)
	}
	return x
}

// bare is embed without adapters.
func bare(t testing.TB, enc *Encoder, texts []Encoding) []float32 {
	t.Helper()
	return embed(t, enc, texts, nil, nil)
}

// newNaiveAdapter makes a random adapter for m.
func newNaiveAdapter(m tiny, b int, seed uint64, relu, norm, bias bool) *naiveAdapter {
	rng := rand.New(rand.NewPCG(seed, 9))
	a := &naiveAdapter{b: b, relu: relu, norm: norm}
	random := func(n int, scale, shift float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64()*scale + shift)
		}
		return v
	}
	scale := 0.0
	if bias {
		scale = 0.3
	}
	for range m.L {
		a.down, a.up = append(a.down, random(m.H*a.b, 0.3, 0)), append(a.up, random(m.H*a.b, 0.3, 0))
		a.downBias, a.upBias = append(a.downBias, random(a.b, scale, 0)), append(a.upBias, random(m.H, scale, 0))
		a.normWeight, a.normBias = append(a.normWeight, random(a.b, 0.2, 1)), append(a.normBias, random(a.b, 0.2, 0))
	}
	return a
}

// flat is a in the last blocks of m, for Embed.
func (a *naiveAdapter) flat(m tiny, blocks int, bias bool) *Adapter {
	out := &Adapter{Blocks: blocks, Bottleneck: a.b}
	if a.relu {
		out.Activation = ReLU
	}
	for l := m.L - blocks; l < m.L; l++ {
		out.Down, out.Up = append(out.Down, a.down[l]...), append(out.Up, a.up[l]...)
		if bias {
			out.DownBias, out.UpBias = append(out.DownBias, a.downBias[l]...), append(out.UpBias, a.upBias[l]...)
		}
		if a.norm {
			out.Norm = append(append(out.Norm, a.normWeight[l]...), a.normBias[l]...)
		}
	}
	return out
}
