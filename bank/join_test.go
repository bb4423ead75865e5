//go:build cgo

package bank

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/internal/torchtest"
	"github.com/xpeft/xpeft/model"
)

// openEncoder loads the tiny encoder of testdata/adapterhub until the test ends.
func openEncoder(t testing.TB, e *torch.Engine) *model.Encoder {
	t.Helper()
	c, err := model.OpenCheckpoint("testdata/adapterhub/encoder")
	if err != nil {
		t.Fatal(err)
	}
	enc, err := model.NewEncoder(context.Background(), e, c)
	if err != nil {
		c.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	return enc
}

// joinTexts are of different lengths.
func joinTexts(n int) []model.Encoding {
	texts := make([]model.Encoding, n)
	for i := range texts {
		for j := range 3 + i*2%7 {
			texts[i].IDs = append(texts[i].IDs, int32((5+7*i+3*j)%40))
		}
		texts[i].TypeIDs = make([]int32, len(texts[i].IDs))
	}
	return texts
}

// forward is the states of texts, [B,T,H], and what their batch looks like.
func forward(t testing.TB, e *torch.Engine, enc *model.Encoder, texts []model.Encoding, fs []*Folded, owner []int) ([]float32, *model.Batch) {
	t.Helper()
	b, err := model.NewBatch(texts, 0)
	if err != nil {
		t.Fatal(err)
	}
	var states []float32
	err = e.Do(context.Background(), func(s *torch.Scope) error {
		a, err := Join(s, fs, owner)
		if err != nil {
			return err
		}
		states = s.Values(enc.Forward(s, b, a))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return states, b
}

// rowOf cuts a row's own tokens out of states.
func rowOf(states []float32, b *model.Batch, i int) []float32 {
	h := len(states) / (b.B * b.T)
	return states[i*b.T*h:][:b.Lengths[i]*h]
}

// TestJoin: in a batch of several profiles and none, each row is what it is alone.
func TestJoin(t *testing.T) {
	e := torchtest.Open(t)
	enc := openEncoder(t, e)
	normed := smallWarm(F32, true)
	normed.NormB = true
	for name, p := range map[string]Properties{
		"random": smallRandom(), "warm": smallWarm(F16, false), "ReLU and biases": smallWarm(F32, true), "all parts": normed,
	} {
		b := openBank(t, p)
		fs := []*Folded{fold(t, b, e, randomMask(t, p, 3, 1), nil), fold(t, b, e, randomMask(t, p, 3, 2), nil), nil, fold(t, b, e, randomMask(t, p, 3, 3), nil)}
		for owners, owner := range map[string][]int{
			"mixed": {3, 2, 0, 1, 2, 0}, "one a row": {0, 1, 2, 3}, "one a row, not in order": {1, 0, 2, 3}, "profiles alone": {0, 1, 3, 3, 3},
		} {
			t.Run(name+", "+owners, func(t *testing.T) {
				texts := joinTexts(len(owner))
				states, batch := forward(t, e, enc, texts, fs, owner)
				bare, _ := forward(t, e, enc, texts, []*Folded{nil}, make([]int, len(owner)))
				for i, o := range owner {
					alone, one := forward(t, e, enc, texts[i:i+1], fs[o:o+1], []int{0})
					golden.Near(t, "row alone", rowOf(states, batch, i), rowOf(alone, one, 0), 1e-5, 0)
					same := slices.Equal(rowOf(states, batch, i), rowOf(bare, batch, i))
					if same != (fs[o] == nil) {
						t.Errorf("row %d of profile %d: the same as the bare encoder's %t, want %t", i, o, same, fs[o] == nil)
					}
				}
			})
		}
	}
}

// TestJoinHoldsOneBlock: the rows' parts are made block by block, and none outlives its block.
func TestJoinHoldsOneBlock(t *testing.T) {
	e := torchtest.Open(t)
	p := smallRandom()
	b := openBank(t, p)
	fs := []*Folded{fold(t, b, e, randomMask(t, p, 3, 1), nil), fold(t, b, e, randomMask(t, p, 3, 2), nil)}
	before := e.Live()
	err := e.Do(context.Background(), func(s *torch.Scope) error {
		a, err := Join(s, fs, []int{1, 0, 1})
		if err != nil {
			return err
		}
		if got := e.Live() - before; got != 0 {
			t.Errorf("got %d tensors made before the pass, want 0", got)
		}
		for l := range p.Blocks {
			s.Block(func() torch.Tensor {
				blk := a.Make(l)
				for what, shape := range map[torch.Tensor][]int64{blk.Down: {3, int64(p.Hidden), int64(p.Bottleneck)}, blk.Up: {3, int64(p.Bottleneck), int64(p.Hidden)}} {
					if got := s.Shape(what); !slices.Equal(got, shape) {
						t.Errorf("block %d: got %v, want %v", l, got, shape)
					}
				}
				return torch.Tensor{}
			})
			if got := e.Live() - before; got != 0 {
				t.Errorf("got %d tensors left after block %d, want 0", got, l)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJoinRefuses(t *testing.T) {
	e := torchtest.Open(t)
	p := smallRandom()
	a := fold(t, openBank(t, p), e, randomMask(t, p, 3, 1), nil)
	var others []*Folded
	for _, change := range []func(*Properties){
		func(q *Properties) { q.Bottleneck++ }, func(q *Properties) { q.Blocks++ }, func(q *Properties) { q.Hidden++ },
		func(q *Properties) { q.NormB = false }, func(q *Properties) { q.Activation = ReLU },
	} {
		q := p
		change(&q)
		others = append(others, fold(t, openBank(t, q), e, randomMask(t, q, 3, 1), nil))
	}
	q := smallWarm(F32, true)
	others = append(others, fold(t, openBank(t, q), e, randomMask(t, q, 3, 1), nil))
	err := e.Do(context.Background(), func(s *torch.Scope) error {
		for i, o := range others {
			if got, err := Join(s, []*Folded{nil, a, o}, []int{0, 1, 2}); !errors.Is(err, ErrInvalid) || got != nil {
				t.Errorf("shape %d: got %v, %v, want ErrInvalid", i, got, err)
			}
		}
		for _, owner := range [][]int{{0, 2}, {-1}} {
			if _, err := Join(s, []*Folded{a, nil}, owner); !errors.Is(err, ErrInvalid) {
				t.Errorf("owner %v: got %v, want ErrInvalid", owner, err)
			}
		}
		if got, err := Join(s, []*Folded{nil, nil}, []int{1, 0}); got != nil || err != nil {
			t.Errorf("no profiles: got %v, %v, want no adapter", got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAdapterHubParity runs imported adapters from end to end: import, bank file, fold, encoder; and compares with what the adapters
// library computed.
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
	e := torchtest.Open(t)
	b := FromFile(file)
	defer b.Close()
	enc := openEncoder(t, e)

	expected := golden.Open(t, "../../bank/"+dir+"expected.safetensors")
	ids, types, mask, shape := expected.Ints("input_ids"), expected.Ints("token_type_ids"), expected.Ints("attention_mask"), expected.Shape("input_ids")
	B, T := int(shape[0]), int(shape[1])
	texts := make([]model.Encoding, B)
	for i := range B * T {
		if mask[i] == 1 {
			texts[i/T].IDs = append(texts[i/T].IDs, int32(ids[i]))
			texts[i/T].TypeIDs = append(texts[i/T].TypeIDs, int32(types[i]))
		}
	}
	fs := []*Folded{nil}
	for i := range m.Names {
		mask := randomMask(t, m.Properties, 1, 1)
		for _, side := range []Side{Down, Up} {
			for l := range m.Properties.Blocks {
				mask.Row(side, l).Reset()
				mask.Row(side, l).Set(i)
			}
		}
		fs = append(fs, fold(t, b, e, mask, nil))
	}
	var all []model.Encoding
	var owner []int
	for o, name := range []string{"none", "alpha", "beta"} {
		states, batch := forward(t, e, enc, texts, fs[o:o+1], make([]int, B))
		want := expected.Floats("hidden." + name)
		for i := range B {
			golden.Near(t, name, rowOf(states, batch, i), rowOf(want, batch, i), 2e-5, 0)
			all, owner = append(all, texts[i]), append(owner, o)
		}
	}
	// All of them in one batch.
	states, batch := forward(t, e, enc, all, fs, owner)
	for i, o := range owner {
		want := expected.Floats("hidden." + []string{"none", "alpha", "beta"}[o])
		golden.Near(t, "joined", rowOf(states, batch, i), rowOf(want, &model.Batch{B: B, T: T, Lengths: batch.Lengths[i-i%B:]}, i%B), 2e-5, 0)
	}
}
