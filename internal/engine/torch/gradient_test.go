//go:build torch && cgo

package torch

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/model"
)

// TestGradient compares every part's gradient with the float64 reference: all kinds of adapters, in
// all blocks and in the last ones, several owners, one of whom has no row and one no adapter; on
// the CPU, and with libtorch alone.
func TestGradient(t *testing.T) {
	for _, m := range tinies {
		enc := m.open(t)
		ref, worst := newNaive(t, enc), 0.0
		engines := []*torch{open(t, enc, false), open(t, enc, true)}
		for i, k := range kinds {
			for blocks := 1; blocks <= m.L; blocks++ {
				for _, owner := range [][]int{nil, {0, 2, 0, 3, 2}} {
					as := []*model.Adapter{k.adapter(uint64(i), blocks, m.d, 3)}
					if owner != nil {
						as = append(as, k.adapter(7, blocks, m.d, 3), k.adapter(8, blocks, m.d, 3), nil)
					}
					r := engine.Rows{Texts: tinyTexts, Owner: owner, From: m.L - as[0].Reach()}
					want := ref.gradients(r, as)
					for _, e := range engines {
						name := fmt.Sprintf("%+v, %+v, %d blocks, owners %v, card %t", m, k, blocks, owner, e.card)
						worst = max(worst, compareGradient(t, name, e, r, as, want))
					}
				}
			}
		}
		t.Logf("%+v: largest distance %.2g", m, worst)
	}
}

func compareGradient(t *testing.T, name string, e *torch, r engine.Rows, as []*model.Adapter,
	want [][parts][]float64) (worst float64) {
	t.Helper()
	most := 1e-5
	if e.Device() == "cuda" { // sums in another order
		most = 1e-4
	}
	var mu sync.Mutex
	asked := map[int]int{}
	got, err := e.Gradient(context.Background(), r, as, nil, func(row int, x, dx []float32) {
		mu.Lock()
		asked[row]++
		mu.Unlock()
		toTarget(row, x, dx)
	})
	if err != nil || len(got) != len(as) {
		t.Fatalf("%s: got %d adapters and %v", name, len(got), err)
	}
	for row := range r.Texts {
		if asked[row] != 1 {
			t.Errorf("%s: row %d was asked for %d times", name, row, asked[row])
		}
	}
	for o, a := range as {
		if a == nil {
			if got[o] != nil {
				t.Errorf("%s: a gradient of no adapter", name)
			}
			continue
		}
		for i, found := range partsOf(got[o]) {
			if len(found) != len(want[o][i]) {
				t.Fatalf("%s: part %d has %d values, want %d", name, i, len(found), len(want[o][i]))
			}
			off := distance(found, want[o][i])
			if math.IsNaN(off) { // 0 of 0, or a part that it does not have
				off = distance(append([]float32{1}, found...), append([]float64{1}, want[o][i]...))
			}
			if worst = max(worst, off); !(off <= most) {
				t.Errorf("%s: the gradient by part %d of adapter %d is %.2g off", name, i, o, off)
			}
		}
	}
	return worst
}

// TestGradientGolden holds adapters in all blocks of the real weights against PyTorch: what their
// fold's gradient makes of the mask logits and of LN_b's affine.
func TestGradientGolden(t *testing.T) {
	f := golden.Open(t, "xpeft.safetensors")
	enc := minilm(t)
	e := open(t, enc, false)
	texts, labels, headW, headB := goldenTexts(f), f.Ints("labels"), f.Floats("head_w"), f.Floats("head_b")
	shape := f.Shape("soft_fold_A")
	L, d, b := int(shape[0]), int(shape[1]), int(shape[2])
	crossEntropy := func(row int, x, dx []float32) {
		z, sum := make([]float64, len(headB)), 0.0
		for c := range z {
			z[c] = float64(headB[c])
			for j, v := range x {
				z[c] += float64(v) * float64(headW[c*d+j])
			}
			sum += math.Exp(z[c])
		}
		clear(dx)
		for c := range z {
			g := math.Exp(z[c]) / sum
			if int64(c) == labels[row] {
				g--
			}
			for j := range dx {
				dx[j] += float32(g * float64(headW[c*d+j]) / float64(len(texts)))
			}
		}
	}
	for _, name := range []string{"soft", "hard"} {
		a := &model.Adapter{Blocks: L, Bottleneck: b, Down: f.Floats(name + "_fold_A"),
			Up: f.Floats(name + "_fold_B"), Norm: make([]float32, 2*L*b)}
		for i := range a.Norm {
			if i/b%2 == 0 {
				a.Norm[i] = 1
			}
		}
		got, err := e.Gradient(context.Background(), engine.Rows{Texts: texts}, []*model.Adapter{a}, nil, crossEntropy)
		if err != nil {
			t.Fatal(err)
		}
		var w, c []float32
		for l := range L {
			w, c = append(w, got[0].Norm[2*l*b:(2*l+1)*b]...), append(c, got[0].Norm[(2*l+1)*b:(2*l+2)*b]...)
		}
		golden.Near(t, name+" norm_w", w, f.Floats(name+"_grad_norm_w"), 1e-6, 1e-3)
		golden.Near(t, name+" norm_b", c, f.Floats(name+"_grad_norm_b"), 1e-6, 1e-3)
		golden.Near(t, name+" logits_A", byLogits(f.Floats("logits_A"), f.Floats("bank_A"), got[0].Down, L),
			f.Floats(name+"_grad_logits_A"), 1e-6, 1e-3)
		golden.Near(t, name+" logits_B", byLogits(f.Floats("logits_B"), f.Floats("bank_B"), got[0].Up, L),
			f.Floats(name+"_grad_logits_B"), 1e-6, 1e-3)
	}
}

// byLogits is a fold's gradient [L,n] through the mask's softmax over N adapters of the bank
// [N,L,n] (of a hard mask too, by the straight-through rule): [L,N].
func byLogits(logits, bank, fold []float32, L int) []float32 {
	N, n := len(logits)/L, len(fold)/L
	out := make([]float32, L*N)
	for l := range L {
		p, s, sum, mean := make([]float64, N), make([]float64, N), 0.0, 0.0
		for i := range N {
			p[i] = math.Exp(float64(logits[l*N+i]))
			sum += p[i]
			for j := range n {
				s[i] += float64(fold[l*n+j]) * float64(bank[(i*L+l)*n+j])
			}
		}
		for i := range N {
			p[i] /= sum
			mean += p[i] * s[i]
		}
		for i := range N {
			out[l*N+i] = float32(p[i] * (s[i] - mean))
		}
	}
	return out
}

// TestLastBlock: on a CPU the native engine computes it; libtorch finds the same.
func TestLastBlock(t *testing.T) {
	enc, ctx := minilm(t), context.Background()
	texts := goldenTexts(golden.Open(t, "forward.safetensors"))
	r := engine.Rows{Texts: texts, From: enc.Blocks() - 1}
	for i := range texts {
		r.Owner = append(r.Owner, i%3)
	}
	for i, k := range kinds {
		as := []*model.Adapter{k.adapter(uint64(i), 1, enc.Hidden(), 8), k.adapter(5, 1, enc.Hidden(), 8),
			k.adapter(6, 1, enc.Hidden(), 16)}
		if as[0].Targets != 0 {
			continue // the native engine trains none
		}
		taps := [][]int{nil, {enc.Blocks()}}[i%2]
		want, err := open(t, enc, false).native.Gradient(ctx, r, as, taps, toTarget)
		if err != nil {
			t.Fatal(err)
		}
		for _, card := range []bool{false, true} {
			got, err := open(t, enc, card).Gradient(ctx, r, as, taps, toTarget)
			if err != nil {
				t.Fatal(err)
			}
			if same := reflect.DeepEqual(got, want); same == card {
				t.Errorf("%+v, libtorch %t: got the native bits %t", k, card, same)
			}
			for o := range as {
				for p, x := range partsOf(got[o]) {
					if w := widened(partsOf(want[o])[p]); len(w) > 0 && !(distance(x, w) <= 1e-5) {
						t.Errorf("%+v, libtorch %t: the gradient by part %d of adapter %d is %.2g off the native one",
							k, card, p, o, distance(x, w))
					}
				}
			}
		}
	}
}

// TestGradientTaps: the gradient of a loss that is linear in the states after two blocks is the sum
// of those of its parts, and above the first block its part has none.
func TestGradientTaps(t *testing.T) {
	enc := tinies[0].open(t)
	L, e := enc.Blocks(), open(t, enc, true)
	r, as := engine.Rows{Texts: tinyTexts}, []*model.Adapter{kinds[0].adapter(1, L, enc.Hidden(), 3)}
	of := func(taps []int, first, second float32) *model.Adapter {
		t.Helper()
		got, err := e.Gradient(context.Background(), r, as, taps, func(_ int, x, dx []float32) {
			for j := range dx {
				if dx[j] = first * float32(math.Sin(float64(j))); j >= enc.Hidden() {
					dx[j] = second * float32(math.Cos(float64(j-enc.Hidden())))
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	both, first, second := of([]int{1, L}, 1, 1), of([]int{1, L}, 1, 0), of([]int{1, L}, 0, 1)
	sum := widened(first.Down)
	for i, x := range second.Down {
		sum[i] += float64(x)
	}
	if off := distance(both.Down, sum); !(off <= 1e-5) {
		t.Errorf("got a gradient that is %.2g off the sum of its parts", off)
	}
	for i, x := range first.Down[len(first.Down)/L:] {
		if x != 0 {
			t.Fatalf("value %d above block 1 has the gradient %g of the states after it", i, x)
		}
	}
}

// TestSameBits: a gradient does not depend on the number of threads.
func TestSameBits(t *testing.T) {
	enc := minilm(t)
	texts := goldenTexts(golden.Open(t, "forward.safetensors"))
	as := []*model.Adapter{kinds[0].adapter(1, 6, enc.Hidden(), 8), kinds[0].adapter(2, 6, enc.Hidden(), 8)}
	r := engine.Rows{Texts: texts}
	for i := range texts {
		r.Owner = append(r.Owner, i%2)
	}
	var first []*model.Adapter
	for _, threads := range []int{1, 2, 5, 5} {
		e, err := Open(enc, Config{Device: "cpu", Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Gradient(context.Background(), r, as, nil, toTarget)
		if err != nil {
			t.Fatal(err)
		}
		e.Close()
		if first == nil {
			first = got
		}
		if !reflect.DeepEqual(got, first) {
			t.Errorf("%d threads: got other bits than on one", threads)
		}
	}
}

// TestGivenStems: a gradient out of kept states is that of the texts, where some of them were not
// kept too.
func TestGivenStems(t *testing.T) {
	enc, ctx := tinies[0].open(t), context.Background()
	e := open(t, enc, true)
	as := []*model.Adapter{kinds[2].adapter(1, 2, enc.Hidden(), 3)}
	want, err := e.Gradient(ctx, engine.Rows{Texts: tinyTexts, From: 1}, as, nil, toTarget)
	if err != nil {
		t.Fatal(err)
	}
	stems, err := e.Stems(ctx, tinyTexts, 1, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, some := range []bool{false, true} {
		if some {
			stems[3] = nil
		}
		got, err := e.Gradient(ctx, engine.Rows{Texts: tinyTexts, From: 1, Stems: stems}, as, nil, toTarget)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range partsOf(got[0]) {
			golden.Near(t, fmt.Sprintf("part %d", i), x, partsOf(want[0])[i], 1e-6, 1e-5)
		}
	}
}

// TestTrims: memory is given back once steps have ended, and when the engine is closed.
func TestTrims(t *testing.T) {
	enc := tinies[0].open(t)
	e := open(t, enc, false)
	trims := func() int {
		e.trim.mu.Lock()
		defer e.trim.mu.Unlock()
		return e.trim.trims
	}
	step := func() {
		t.Helper()
		if _, err := e.Gradient(context.Background(), engine.Rows{Texts: tinyTexts},
			[]*model.Adapter{kinds[0].adapter(1, 3, enc.Hidden(), 3)}, nil, toTarget); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		step()
	}
	if trims() != 0 {
		t.Error("got memory given back between steps")
	}
	for end := time.Now().Add(20 * trimAfter); trims() == 0 && time.Now().Before(end); {
		time.Sleep(trimAfter / 10)
	}
	if n := trims(); n != 1 {
		t.Errorf("after the steps: memory was given back %d times, want once", n)
	}
	step()
	e.Close()
	e.trim.soon()
	if e.trim.timer != nil {
		t.Error("a timer waits after Close")
	}
}
