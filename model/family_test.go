package model

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

// families are folders of testdata, by model_type: a small model with random weights each, and what
// transformers computes with it.
const familiesDir = "testdata/families"

// familyTolerance is how far a state may be from transformers'.
const familyTolerance = 2e-5

type familyState struct {
	IDs   []int32     `json:"ids"`
	Types []int32     `json:"types"`
	First []float32   `json:"first"`
	Means [][]float32 `json:"means"` // after the embeddings and each block
}

func familyStates(t *testing.T, name string) (states []familyState) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(familiesDir, name, "states.json"))
	if err == nil {
		err = json.Unmarshal(b, &states)
	}
	if err != nil {
		t.Fatal(err)
	}
	return states
}

// TestFamilies: each family's states are transformers', by every kernel that runs here: of twelve
// blocks, of odd widths, the mean and the first token's.
func TestFamilies(t *testing.T) {
	for name := range families {
		for _, kernel := range []string{"", "avx2", "portable"} {
			t.Run(name+"/"+kernel, func(t *testing.T) {
				enc := openEncoder(t, filepath.Join(familiesDir, name))
				if err := enc.UseKernel(kernel); errors.Is(err, ErrNoKernel) {
					t.Skip(err)
				}
				d, taps := enc.Hidden(), make([]int, enc.Blocks()+1)
				for l := range taps {
					taps[l] = l
				}
				enc.pooling = PoolCLS
				var got, want, first, wantFirst []float32
				for _, row := range familyStates(t, name) {
					x, means := make([]float32, d), make([]float32, len(taps)*d)
					texts := []Encoding{{IDs: row.IDs, TypeIDs: row.Types}}
					if err := enc.Embed(texts, nil, nil, x, taps, means); err != nil {
						t.Fatal(err)
					}
					got, want = append(got, means...), append(want, slices.Concat(row.Means...)...)
					first, wantFirst = append(first, x...), append(wantFirst, row.First...)
				}
				golden.Near(t, "means of "+name, got, want, familyTolerance, 0)
				golden.Near(t, "first of "+name, first, wantFirst, familyTolerance, 0)
			})
		}
	}
}

// TestFamilyPositions: RoBERTa's texts may have as many tokens as there are positions behind the
// padding's, and its pairs need no types.
func TestFamilyPositions(t *testing.T) {
	for name, want := range map[string]struct {
		first, positions, types int
	}{"bert": {0, 18, 2}, "distilbert": {0, 16, 2}, "roberta": {2, 16, 1}, "xlm-roberta": {2, 16, 1}} {
		enc := openEncoder(t, filepath.Join(familiesDir, name))
		c := enc.Config()
		if c.FirstPosition != want.first || c.MaxPositionEmbeddings != want.positions ||
			c.TypeVocabSize != want.types || !c.Pairs() {
			t.Errorf("%s: got %+v, want %+v and pairs", name, c, want)
		}
		for n, ok := range map[int]bool{want.positions: true, want.positions + 1: false} {
			e := Encoding{IDs: make([]int32, n), TypeIDs: make([]int32, n)}
			if err := enc.Check([]Encoding{e}); (err == nil) != ok {
				t.Errorf("%s: %d tokens: got %v, want ok %t", name, n, err, ok)
			}
		}
	}
}

// TestFamilyDigests: what is computed is part of a checkpoint's digest; RoBERTa and XLM-R compute
// the same.
func TestFamilyDigests(t *testing.T) {
	of := func(name string) string {
		c, err := ReadConfig(filepath.Join(familiesDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return c.canonical()
	}
	if got := of("roberta"); got != of("xlm-roberta") || !strings.HasPrefix(got, "roberta first_position=2 ") {
		t.Errorf("roberta: got %q and %q, want them equal", got, of("xlm-roberta"))
	}
	if got := of("distilbert"); !strings.HasPrefix(got, "distilbert vocab_size=40 ") {
		t.Errorf("distilbert: got %q", got)
	}
}

// TestFamilyNames: a tensor that is not there is named as the file would name it.
func TestFamilyNames(t *testing.T) {
	config, err := os.ReadFile(filepath.Join(familiesDir, "distilbert", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := miniDir(t, miniWeights(t, false))
	writeFile(t, dir, "config.json", strings.Replace(strings.Replace(string(config), `"dim": 15`, `"dim": 4`, 1),
		`"n_heads": 3`, `"n_heads": 2`, 1))
	if _, err := OpenCheckpoint(dir); !errors.Is(err, ErrCheckpoint) ||
		!strings.Contains(err.Error(), "word_embeddings") {
		t.Errorf("got %v, want ErrCheckpoint for the words' shape", err)
	}
	names := strings.Join(func() (all []string) {
		for _, w := range expectedWeights(Config{ModelType: "distilbert", NumHiddenLayers: 1}, false) {
			all = append(all, families["distilbert"].spelling.Replace(w.name))
		}
		return all
	}(), " ")
	for _, want := range []string{"transformer.layer.0.attention.q_lin.weight", "transformer.layer.0.attention.k_lin.bias",
		"transformer.layer.0.attention.v_lin.weight", "transformer.layer.0.attention.out_lin.bias",
		"transformer.layer.0.sa_layer_norm.weight", "transformer.layer.0.ffn.lin1.weight",
		"transformer.layer.0.ffn.lin2.bias", "transformer.layer.0.output_layer_norm.bias", " embeddings.LayerNorm.weight"} {
		if !strings.Contains(names, want) {
			t.Errorf("got %s, want %s among them", names, want)
		}
	}
}
