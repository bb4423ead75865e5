//go:build cgo

package model

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/internal/torch"
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
		ModelType: "bert", VocabSize: 40, HiddenSize: m.H, NumHiddenLayers: m.L, NumAttentionHeads: m.heads, IntermediateSize: wide,
		HiddenAct: m.act, MaxPositionEmbeddings: 16, TypeVocabSize: 2, LayerNormEps: 1e-12, PositionEmbeddingType: "absolute",
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
func (m tiny) write(t testing.TB, weights map[string][]float32, prefix, dtype string, encode func([]byte, float32) []byte) string {
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
func openEncoder(t testing.TB, e *torch.Engine, dir string) *Encoder {
	t.Helper()
	c, err := OpenCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := NewEncoder(context.Background(), e, c)
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

func newBatch(t testing.TB, texts []Encoding) *Batch {
	t.Helper()
	b, err := NewBatch(texts, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compute reads what f makes.
func compute(t testing.TB, e *torch.Engine, f func(*torch.Scope) torch.Tensor) []float32 {
	t.Helper()
	var out []float32
	err := e.Do(context.Background(), func(s *torch.Scope) error { out = s.Values(f(s)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rowStates cuts row i's own tokens out of states [B,T,H].
func rowStates(states []float32, b *Batch, i, h int) []float32 {
	at := i * b.T * h
	return states[at : at+b.Lengths[i]*h]
}
