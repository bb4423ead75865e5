package learner

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/enginetest"
	"github.com/xpeft/xpeft/internal/engine/torch"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// openEnv is the real encoder under the engine of this build, until the test ends: the native one
// or, with -tags torch, libtorch on the device that XPEFT_TEST_DEVICE names (default cpu).
func openEnv(t testing.TB) Env {
	t.Helper()
	env := Env{Encoder: enginetest.Open(t, golden.Model(t), model.PoolMean)}
	if !torch.Built {
		return env.ready()
	}
	device := cmp.Or(os.Getenv("XPEFT_TEST_DEVICE"), "cpu")
	e, err := torch.Open(env.Encoder, torch.Config{Device: device})
	if errors.Is(err, engine.ErrNoCUDA) {
		t.Skip("no CUDA device here: skipping a GPU test")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	env.Engine = e
	return env
}

// needBlocks skips a test of adapters in more blocks than the engine of this build trains.
func needBlocks(t testing.TB, env Env, blocks int) {
	t.Helper()
	if most := env.Engine.Trains(); blocks > most {
		t.Skipf("engine %s trains %d blocks, this test %d: run it with -tags torch", env.Engine.Name(), most, blocks)
	}
}

// goldenBank writes the reference's bank to a bank file and maps it.
func goldenBank(t testing.TB, f golden.File, relu bool) *bank.Bank {
	t.Helper()
	shape := f.Shape("bank_A") // [N,L,d,b]
	N, L, d, b := int(shape[0]), int(shape[1]), int(shape[2]), int(shape[3])
	p := bank.Properties{Origin: bank.Warm, N: N, Blocks: L, Hidden: d, Bottleneck: b, NormB: !relu, Bias: relu}
	weights := [2][]float32{f.Floats("bank_A"), f.Floats("bank_B")}
	var biases [2][]float32
	if relu {
		p.Activation = bank.ReLU
		biases = [2][]float32{f.Floats("bias_A"), f.Floats("bias_B")}
	}
	part := func(all []float32, l, i int) []float32 {
		n := len(all) / (N * L)
		at := (i*L + l) * n
		return all[at : at+n]
	}
	path := filepath.Join(t.TempDir(), "bank")
	_, err := bank.WriteFile(context.Background(), path, p, nil,
		func(side bank.Side, l, i int) ([]float32, []float32, error) {
			return part(weights[side], l, i), part(biases[side], l, i), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	file, err := bank.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	k := bank.FromFile(file)
	t.Cleanup(func() { k.Close() })
	return k
}

// examplesOf undoes the padding of golden ids.
func examplesOf(f golden.File, labels []int64) []Example {
	shape, ids, mask := f.Shape("ids"), f.Ints("ids"), f.Ints("mask")
	var types []int64
	if f.Has("type_ids") {
		types = f.Ints("type_ids")
	}
	out := make([]Example, shape[0])
	for i := range out {
		out[i].Class = int(labels[i])
		for j := range int(shape[1]) {
			at := i*int(shape[1]) + j
			if mask[at] == 0 {
				continue
			}
			out[i].Text.IDs = append(out[i].Text.IDs, int32(ids[at]))
			kind := int32(0)
			if types != nil {
				kind = int32(types[at])
			}
			out[i].Text.TypeIDs = append(out[i].Text.TypeIDs, kind)
		}
	}
	return out
}

// TestGoldenSteps holds the fold, the output, every gradient, ten losses and the final logits
// against the reference, soft and hard.
func TestGoldenSteps(t *testing.T) {
	for _, soft := range []bool{true, false} {
		name := map[bool]string{true: "soft", false: "hard"}[soft]
		t.Run(name, func(t *testing.T) { goldenSteps(t, name, soft) })
	}
}

func goldenSteps(t *testing.T, name string, soft bool) {
	ctx, env, f := context.Background(), openEnv(t), golden.Open(t, "xpeft.safetensors")
	env.Bank = goldenBank(t, f, false)
	p := env.Bank.Properties()
	c := Config{Mode: Masks, K: 3, Soft: soft, Affine: true, Head: true, MaskRate: 0.01, AffineRate: 0.01,
		HeadRate: 0.01, Tau: 1, StemBudget: 1 << 30}
	logits := &Logits{N: p.N, Blocks: p.Blocks, Values: append(f.Floats("logits_A"), f.Floats("logits_B")...)}
	affine := bank.DefaultAffine(p)
	src := newMaskSource(env.Bank, c, rand.New(rand.NewPCG(1, 1)), []*Logits{logits}, [][]float32{affine})
	head := &model.Head{Labels: []string{"a", "b", "c", "d", "e"}, Hidden: p.Hidden, W: f.Floats("head_w"),
		B: f.Floats("head_b"), Counts: make([]uint32, 5)}
	examples := examplesOf(f, f.Ints("labels"))
	out := newOutput(c, &Job{Head: head})
	tr := newTrainer(env, src, out, 0.01)
	goldenForward(t, name, f, tr, examples)
	needBlocks(t, env, p.Blocks)
	in, err := prepared(ctx, env, c, examples)
	if err != nil {
		t.Fatal(err)
	}
	b := in.batch(every(len(examples)))
	var losses []float32
	for i := range 10 {
		loss, err := tr.gradient(ctx, b, []float64{0})
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, loss[0])
		if i == 0 {
			goldenGradients(t, name, f, tr, p)
		}
		tr.opt.update(1)
	}
	half := len(logits.Values) / 2
	golden.Near(t, "losses", losses, f.Floats(name+"_losses"), 1e-5, 0)
	golden.Near(t, "final logits A", logits.Values[:half], f.Floats(name+"_final_logits_A"), 1e-4, 0)
	golden.Near(t, "final logits B", logits.Values[half:], f.Floats(name+"_final_logits_B"), 1e-4, 0)
}

// goldenForward needs no gradients: every engine does it.
func goldenForward(t *testing.T, name string, f golden.File, tr *trainer, examples []Example) {
	t.Helper()
	a, err := solo(context.Background(), tr.source)
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "fold A", a.Down, f.Floats(name+"_fold_A"), 1e-6, 0)
	golden.Near(t, "fold B", a.Up, f.Floats(name+"_fold_B"), 1e-6, 0)
	x, err := Embed(context.Background(), tr.env, examples, a)
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "output", logitsOf(tr.outputs[0].head, x), f.Floats(name+"_output"), 5e-6, 0)
}

// logitsOf are a head's logits of embeddings [n,H].
func logitsOf(h *model.Head, x []float32) (z []float32) {
	for ; len(x) > 0; x = x[h.Hidden:] {
		z = h.Logits(z, x[:h.Hidden])
	}
	return z
}

func goldenGradients(t *testing.T, name string, f golden.File, tr *trainer, p bank.Properties) {
	t.Helper()
	src := tr.source.(*maskSource)
	half := len(src.of[0].logits.grad) / 2
	var normW, normB []float32
	for l := range p.Blocks {
		at := src.of[0].norm.grad[2*l*p.Bottleneck:]
		normW, normB = append(normW, at[:p.Bottleneck]...), append(normB, at[p.Bottleneck:2*p.Bottleneck]...)
	}
	for _, g := range []struct {
		name string
		got  []float32
	}{
		{"logits_A", src.of[0].logits.grad[:half]}, {"logits_B", src.of[0].logits.grad[half:]},
		{"norm_w", normW}, {"norm_b", normB},
		{"head_w", tr.outputs[0].parts[0].grad}, {"head_b", tr.outputs[0].parts[1].grad},
	} {
		golden.Near(t, "gradient of "+g.name, g.got, f.Floats(name+"_grad_"+g.name), 1e-6, 1e-3)
	}
}

// TestGoldenNoisy covers what the others leave out: ν and τ, two profiles in one batch, a ReLU bank
// with biases and no LN_b, pairs.
func TestGoldenNoisy(t *testing.T) {
	ctx, env, f := context.Background(), openEnv(t), golden.Open(t, "noisy.safetensors")
	env.Bank = goldenBank(t, f, true)
	p := env.Bank.Properties()
	c := Config{Mode: Masks, K: 3, Tau: 0.5, MaskRate: 0.01, StemBudget: 1 << 30}
	half := p.Blocks * p.N
	both := func(name string, i int) []float32 { // [2,L,N] of A and of B: profile i's [2 sides][L][N]
		a, b := f.Floats(name+"_A"), f.Floats(name+"_B")
		return append(append([]float32(nil), a[i*half:(i+1)*half]...), b[i*half:(i+1)*half]...)
	}
	var logits []*Logits
	var affines [][]float32
	for i := range 2 {
		logits = append(logits, &Logits{N: p.N, Blocks: p.Blocks, Values: both("logits", i)})
		affines = append(affines, bank.DefaultAffine(p))
	}
	src := newMaskSource(env.Bank, c, nil, logits, affines)
	for i, k := range src.of {
		k.draw = func(_ int, noise []float32) { copy(noise, both("gumbel", i)) }
	}
	head := &model.Head{Labels: []string{"a", "b", "c", "d", "e"}, Hidden: p.Hidden, W: f.Floats("head_w"),
		B: make([]float32, 5), Counts: make([]uint32, 5)}
	tr := newTrainer(env, src, newOutput(c, &Job{Head: head}), 0)
	tr.outputs = append(tr.outputs, tr.outputs[0])
	examples := examplesOf(f, f.Ints("labels"))
	rows := engine.Rows{Texts: textsOf(examples)}
	for _, o := range f.Ints("owner") {
		rows.Owner = append(rows.Owner, int(o))
	}
	nu, x := []float64{0.7, 0.7}, make([]float32, len(examples)*p.Hidden)
	folded, err := src.fold(ctx, nu)
	if err == nil {
		err = env.Engine.Embed(ctx, rows, folded, x, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	golden.Near(t, "output", logitsOf(head, x), f.Floats("output"), 5e-6, 0)
	needBlocks(t, env, p.Blocks)
	in, err := prepared(ctx, env, c, examples)
	if err != nil {
		t.Fatal(err)
	}
	b := in.batch(every(len(examples)))
	b.owner, b.mean = rows.Owner, true
	if _, err := tr.gradient(ctx, b, nu); err != nil {
		t.Fatal(err)
	}
	var gradA, gradB []float32
	for _, k := range src.of {
		gradA, gradB = append(gradA, k.logits.grad[:half]...), append(gradB, k.logits.grad[half:]...)
	}
	golden.Near(t, "gradient of logits_A", gradA, f.Floats("grad_logits_A"), 1e-6, 1e-3)
	golden.Near(t, "gradient of logits_B", gradB, f.Floats("grad_logits_B"), 1e-6, 1e-3)
}
