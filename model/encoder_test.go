package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/half"
)

// TestDTypes: a file of halves gives what a file of the same values in F32 gives, and nearly what
// the unrounded weights give.
func TestDTypes(t *testing.T) {
	m := tinyDefault
	embedOf := func(t *testing.T, dir string) []float32 { return bare(t, openEncoder(t, dir), tinyTexts) }
	plain := embedOf(t, m.writeF32(t))
	if got := embedOf(t, m.write(t, m.weights(), "bert.", "F32", appendF32)); !slices.Equal(got, plain) {
		t.Error("with the prefix bert.: got other vectors")
	}
	for _, c := range []struct {
		dtype     string
		round     func(float32) float32
		encode    func([]byte, float32) []byte
		tolerance float64
	}{
		{"F16", func(v float32) float32 { return half.To(half.From(v)) },
			func(b []byte, v float32) []byte { return binary.LittleEndian.AppendUint16(b, half.From(v)) }, 5e-3},
		{"BF16", func(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ 0xffff) },
			func(b []byte, v float32) []byte {
				return binary.LittleEndian.AppendUint16(b, uint16(math.Float32bits(v)>>16))
			}, 1e-1},
	} {
		t.Run(c.dtype, func(t *testing.T) {
			rounded := m.weights()
			for _, w := range rounded {
				for i := range w {
					w[i] = c.round(w[i])
				}
			}
			got := embedOf(t, m.write(t, rounded, "", c.dtype, c.encode))
			if !slices.Equal(got, embedOf(t, m.write(t, rounded, "", "F32", appendF32))) {
				t.Error("the same weights in F32: got other vectors")
			}
			golden.Near(t, "unrounded", got, plain, c.tolerance, 0)
		})
	}
}

// TestUnalignedWeights: a header of odd length moves every tensor off its alignment.
func TestUnalignedWeights(t *testing.T) {
	appendHalf := func(b []byte, v float32) []byte { return binary.LittleEndian.AppendUint16(b, half.From(v)) }
	for dtype, dir := range map[string]string{
		"F32": tinyDefault.writeF32(t),
		"F16": tinyDefault.write(t, tinyDefault.weights(), "", "F16", appendHalf),
	} {
		want := bare(t, openEncoder(t, dir), tinyTexts)
		path := filepath.Join(dir, "model.safetensors")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := binary.LittleEndian.Uint64(data)
		header := append(slices.Clone(data[8:8+n]), ' ')
		odd := append(binary.LittleEndian.AppendUint64(nil, n+1), append(header, data[8+n:]...)...)
		writeFile(t, dir, "odd", string(odd))
		if err := os.Rename(filepath.Join(dir, "odd"), path); err != nil { // the old file is mapped
			t.Fatal(err)
		}
		if !slices.Equal(bare(t, openEncoder(t, dir), tinyTexts), want) {
			t.Errorf("%s: got other vectors", dtype)
		}
	}
}

// TestEncoderParts: what a gradient needs beside the states are the checkpoint's own weights.
func TestEncoderParts(t *testing.T) {
	m := tiny{L: 3, H: 20, heads: 1, act: "gelu", pooler: true}
	enc, weights := openEncoder(t, m.writeF32(t)), m.weights()
	for l := range m.L {
		name := blockName(l) + "output.LayerNorm"
		w, b, eps := enc.OuterNorm(l)
		if !slices.Equal(w, weights[name+".weight"]) || !slices.Equal(b, weights[name+".bias"]) || eps != 1e-12 {
			t.Errorf("block %d: got another norm, ε=%g", l, eps)
		}
	}
	w, b := enc.Pooler()
	if enc.Pooling() != PoolPooler || !slices.Equal(w, weights["pooler.dense.weight"]) ||
		!slices.Equal(b, weights["pooler.dense.bias"]) {
		t.Errorf("got another pooler than the checkpoint's, %d values", len(w))
	}
	if w, b := openEncoder(t, tinyDefault.writeF32(t)).Pooler(); w != nil || b != nil {
		t.Error("mean pooling: got a pooler")
	}
	if enc.checkpoint.Config.HiddenSize != m.H || enc.Kernel() == "" {
		t.Errorf("got d=%d, kernel %q, want %d and a name", enc.checkpoint.Config.HiddenSize, enc.Kernel(), m.H)
	}
}

func TestAdapterZero(t *testing.T) {
	_, as := adaptersOf(tinyDefault)
	for i, a := range as[1:] {
		z := a.Zero()
		for j, parts := range [][2][]float32{{a.Down, z.Down}, {a.Up, z.Up}, {a.DownBias, z.DownBias},
			{a.UpBias, z.UpBias}, {a.Norm, z.Norm}} {
			if len(parts[0]) != len(parts[1]) || (parts[0] == nil) != (parts[1] == nil) ||
				slices.ContainsFunc(parts[1], func(v float32) bool { return v != 0 }) {
				t.Errorf("adapter %d, part %d: got %d values, want %d zeros", i, j, len(parts[1]), len(parts[0]))
			}
		}
		if z.Blocks != a.Blocks || z.Bottleneck != a.Bottleneck || z.Activation != a.Activation {
			t.Errorf("adapter %d: got %d blocks, b=%d, activation %d", i, z.Blocks, z.Bottleneck, z.Activation)
		}
	}
}

// TestEncoderClose: before and after its first use; what comes later is an error.
func TestEncoderClose(t *testing.T) {
	for _, used := range []bool{false, true} {
		enc := openEncoder(t, tinyDefault.writeF32(t))
		if used {
			bare(t, enc, tinyTexts)
		}
		for range 2 {
			if err := enc.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		x := make([]float32, enc.Hidden())
		_, err := enc.Stems(tinyTexts[:1], 0, nil, nil)
		for _, err := range []error{err, enc.Embed(tinyTexts[:1], nil, nil, x, nil, nil),
			enc.Upper(tinyTexts[:1], [][]float32{x}, 0, nil, nil, x, nil, nil)} {
			if err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("after Close, used %t: got %v, want an error", used, err)
			}
		}
		if got := enc.Kernel(); got != "" {
			t.Errorf("after Close: got kernel %q, want none", got)
		}
	}
}

// TestNewEncoderFails: by a missing tensor, at once or when it is packed; the checkpoint is then
// the caller's.
func TestNewEncoderFails(t *testing.T) {
	for name, late := range map[string]bool{"encoder.layer.1.output.dense.weight": false,
		"encoder.layer.1.attention.self.value.bias": true} {
		ckpt, err := OpenCheckpoint(tinyDefault.writeF32(t))
		if err != nil {
			t.Fatal(err)
		}
		ckpt.weights = slices.DeleteFunc(ckpt.weights, func(w weight) bool { return w.name == name })
		enc, err := NewEncoder(ckpt)
		if late && err == nil {
			err = enc.Embed(tinyTexts[:1], nil, nil, make([]float32, enc.Hidden()), nil, nil)
		} else if enc != nil {
			t.Errorf("%s: got an encoder", name)
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error about it", name, err)
		}
		if err := ckpt.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCasedAndUncased: the folder decides whether case matters, to the tokens and so to the
// embedding.
func TestCasedAndUncased(t *testing.T) {
	for _, lower := range []bool{false, true} {
		dir := tinyDefault.writeF32(t)
		writeFile(t, dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\n")
		writeFile(t, dir, "tokenizer_config.json", fmt.Sprintf(`{"do_lower_case":%t}`, lower))
		tok, err := LoadTokenizer(dir)
		if err != nil {
			t.Fatal(err)
		}
		enc := openEncoder(t, dir)
		embedOf := func(text string) []float32 {
			var x Encoding
			tok.Encode(&x, text, "", 8)
			return bare(t, enc, []Encoding{x})
		}
		if same := slices.Equal(embedOf("Hello"), embedOf("hello")); same != lower {
			t.Errorf("lower case %t: got the same embedding %t, want %t", lower, same, lower)
		}
	}
}
