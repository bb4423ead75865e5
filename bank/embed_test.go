package bank

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// openEncoder loads the tiny encoder of testdata/adapterhub until the test ends.
func openEncoder(t testing.TB) *model.Encoder {
	t.Helper()
	c, err := model.OpenCheckpoint("testdata/adapterhub/encoder")
	if err != nil {
		t.Fatal(err)
	}
	enc, err := model.NewEncoder(c)
	if err != nil {
		c.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	return enc
}

// someTexts are of different lengths.
func someTexts(n int) []model.Encoding {
	texts := make([]model.Encoding, n)
	for i := range texts {
		for j := range 3 + i*2%7 {
			texts[i].IDs = append(texts[i].IDs, int32((5+7*i+3*j)%40))
		}
		texts[i].TypeIDs = make([]int32, len(texts[i].IDs))
	}
	return texts
}

// embed is each text's vector, and after it the mean of its last states.
func embed(t testing.TB, enc *model.Encoder, texts []model.Encoding, as []*model.Adapter, owner []int) [][]float32 {
	t.Helper()
	d := enc.Hidden()
	x, states := make([]float32, len(texts)*d), make([]float32, len(texts)*d)
	if err := enc.Embed(texts, owner, as, x, []int{enc.Blocks()}, states); err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, len(texts))
	for i := range out {
		out[i] = append(slices.Clone(x[i*d:(i+1)*d]), states[i*d:(i+1)*d]...)
	}
	return out
}

// TestEmbedFolded: in a batch of several profiles and none, each row is what it is alone, to the
// bit.
func TestEmbedFolded(t *testing.T) {
	enc := openEncoder(t)
	normed := smallWarm(F32, true)
	normed.NormB = true
	for name, p := range map[string]Properties{
		"random": smallRandom(), "warm": smallWarm(F16, false), "ReLU and biases": smallWarm(F32, true),
		"all parts": normed, "LoRA": smallLoRA(F16),
	} {
		b := openBank(t, p)
		as := []*model.Adapter{fold(t, b, randomMask(t, p, 3, 1), nil), fold(t, b, randomMask(t, p, 3, 2), nil), nil,
			fold(t, b, randomMask(t, p, 3, 3), nil)}
		for owners, owner := range map[string][]int{
			"mixed": {3, 2, 0, 1, 2, 0}, "one a row": {0, 1, 2, 3}, "one a row, not in order": {1, 0, 2, 3},
			"profiles alone": {0, 1, 3, 3, 3},
		} {
			t.Run(name+", "+owners, func(t *testing.T) {
				texts := someTexts(len(owner))
				got, bare := embed(t, enc, texts, as, owner), embed(t, enc, texts, nil, nil)
				for i, o := range owner {
					if alone := embed(t, enc, texts[i:i+1], as[o:o+1], []int{0}); !slices.Equal(got[i], alone[0]) {
						t.Errorf("row %d of profile %d: got another vector than alone", i, o)
					}
					if same := slices.Equal(got[i], bare[i]); same != (as[o] == nil) {
						t.Errorf("row %d of profile %d: the same as the bare encoder's %t, want %t", i, o, same,
							as[o] == nil)
					}
				}
			})
		}
	}
}

// TestAdapterHubParity runs imported adapters from end to end: import, bank file, fold, encoder;
// and compares with what the adapters library computed, all in one batch.
func TestAdapterHubParity(t *testing.T) {
	const dir = "testdata/adapterhub/"
	m, err := ImportAdapterHub([]string{dir + "alpha", dir + "beta"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := t.TempDir() + "/bank"
	if _, err := WriteFile(context.Background(), path, m.Properties, nil, m.Row); err != nil {
		t.Fatal(err)
	}
	file, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := FromFile(file)
	defer b.Close()
	enc := openEncoder(t)

	expected := golden.Open(t, "../../bank/"+dir+"expected.safetensors")
	ids, types, mask, shape := expected.Ints("input_ids"), expected.Ints("token_type_ids"),
		expected.Ints("attention_mask"), expected.Shape("input_ids")
	B, T := int(shape[0]), int(shape[1])
	texts := make([]model.Encoding, B)
	for i := range B * T {
		if mask[i] == 1 {
			texts[i/T].IDs = append(texts[i/T].IDs, int32(ids[i]))
			texts[i/T].TypeIDs = append(texts[i/T].TypeIDs, int32(types[i]))
		}
	}
	as := []*model.Adapter{nil}
	for i := range m.Names {
		mask := randomMask(t, m.Properties, 1, 1)
		for _, side := range []Side{Down, Up} {
			for l := range m.Properties.Blocks {
				clear(mask.Row(side, l))
				mask.Row(side, l).Set(i)
			}
		}
		as = append(as, fold(t, b, mask, nil))
	}
	var all []model.Encoding
	var owner []int
	var want [][]float32
	for o, name := range []string{"none", "alpha", "beta"} {
		hidden := expected.Floats("hidden." + name)
		for i, text := range texts {
			all, owner = append(all, text), append(owner, o)
			want = append(want, pooled(enc, hidden[i*T*enc.Hidden():], len(text.IDs)))
		}
	}
	for i, got := range embed(t, enc, all, as, owner) {
		golden.Near(t, "states", got, want[i], 2e-5, 0)
	}
}

// pooled is the pooler's vector of n states, then their mean.
func pooled(enc *model.Encoder, states []float32, n int) []float32 {
	d := enc.Hidden()
	w, b := enc.Pooler()
	out := make([]float32, 2*d)
	for i := range d {
		z := float64(b[i])
		for j, v := range states[:d] {
			z += float64(v) * float64(w[i*d+j])
		}
		out[i] = float32(math.Tanh(z))
	}
	for i, v := range states[:n*d] {
		out[d+i%d] += v / float32(n)
	}
	return out
}
