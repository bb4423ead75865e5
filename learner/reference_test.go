package learner

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine/enginetest"
	"github.com/xpeft/xpeft/internal/engine/native"
)

// wide is a param of the reference: Algorithm 1, the heads and AdamW once more in float64, with
// gradients from a tape that knows the forward pass alone.
type wide struct {
	value, grad, m, v []float64
	rate              float64
}

func widen(p *param) *wide {
	n := len(p.value)
	return &wide{value: enginetest.Wide(p.value), grad: make([]float64, n), m: make([]float64, n),
		v: make([]float64, n), rate: p.rate}
}

// update is AdamW's step number n, from 1.
func (w *wide) update(n int, decay float64) {
	for i, g := range w.grad {
		w.m[i] = 0.9*w.m[i] + 0.1*g
		w.v[i] = 0.999*w.v[i] + 0.001*g*g
		m, v := w.m[i]/(1-math.Pow(0.9, float64(n))), w.v[i]/(1-math.Pow(0.999, float64(n)))
		w.value[i] -= w.rate*decay*w.value[i] + w.rate*m/(math.Sqrt(v)+1e-8)
	}
}

// wideRun is one profile's training over a bank in the last block.
type wideRun struct {
	env                      Env
	config                   Config
	stems                    [][]float32
	examples                 []Example
	noise                    [][]float32 // of each step, [2][N]
	logits, norm, w, b, bias *wide
	rows                     [2][]float64 // [N,d·b]
	picked                   [2][]int     // in the last step
}

// step is the gradient of step n and, after it, the update.
func (r *wideRun) step(n int, decay float64) {
	p := r.env.Bank.Properties()
	tape := new(enginetest.Tape)
	y, folded := [2][]float64{}, [2][]float64{}
	for side := range 2 {
		y[side], folded[side] = r.fold(n, side)
	}
	a := &enginetest.Adapter{ReLU: p.Activation == bank.ReLU, Bottleneck: p.Bottleneck, Down: tape.News(folded[0]),
		Up: tape.News(folded[1])}
	if p.NormB {
		a.Norm = tape.News(r.norm.value)
	}
	w, b, bias := tape.News(r.w.value), tape.News(r.b.value), tape.News(r.bias.value)
	var losses []*enginetest.Num
	for i, e := range r.examples {
		x := tape.Embed(r.env.Encoder, r.stems[i], a, false)
		var exps []*enginetest.Num
		var z *enginetest.Num
		for c := range b {
			logit := tape.Sum(1, tape.Dot(w[c*p.Hidden:(c+1)*p.Hidden], x), b[c], bias[c])
			exps = append(exps, tape.Exp(logit))
			if c == e.Class {
				z = logit
			}
		}
		losses = append(losses, tape.Sub(tape.Log(tape.Sum(1, exps...)), z))
	}
	tape.Back(tape.Sum(1/float64(len(losses)), losses...))
	r.norm.grad, r.w.grad, r.b.grad, r.bias.grad = enginetest.Grads(a.Norm), enginetest.Grads(w), enginetest.Grads(b),
		enginetest.Grads(bias)
	r.straight(0, y[0], a.Down)
	r.straight(1, y[1], a.Up)
	for i := range p.N {
		if r.config.OneMask {
			both := r.logits.grad[i] + r.logits.grad[p.N+i]
			r.logits.grad[i], r.logits.grad[p.N+i] = both, both
		}
	}
	for _, p := range []*wide{r.logits, r.norm, r.w, r.b, r.bias} {
		p.update(n+1, decay)
	}
}

// fold is a side's softmax and its folded adapter.
func (r *wideRun) fold(n, side int) (y, folded []float64) {
	p, c := r.env.Bank.Properties(), r.config
	z, sum := make([]float64, p.N), 0.0
	for i := range z {
		z[i] = r.logits.value[side*p.N+i] + c.Nu*float64(r.noise[n][side*p.N+i])
		y = append(y, math.Exp(z[i]/c.Tau))
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	share := slices.Clone(y)
	if !c.Soft {
		order := every(p.N)
		slices.SortStableFunc(order, func(a, b int) int {
			if z[a] > z[b] {
				return -1
			}
			return 1
		})
		clear(share)
		for _, i := range order[:c.K] {
			share[i] = 1 / float64(c.K)
		}
		slices.Sort(order[:c.K])
		r.picked[side] = order[:c.K]
	}
	folded = make([]float64, p.Elems())
	for i, m := range share {
		for j := range folded {
			folded[j] += m * r.rows[side][i*p.Elems()+j]
		}
	}
	return y, folded
}

// straight is the estimate: what the loss says of the folded adapter goes through the softmax.
func (r *wideRun) straight(side int, y []float64, folded []*enginetest.Num) {
	p := r.env.Bank.Properties()
	dm, along := make([]float64, p.N), 0.0
	for i := range dm {
		for j, f := range folded {
			dm[i] += f.G * r.rows[side][i*p.Elems()+j]
		}
		along += y[i] * dm[i]
	}
	for i := range dm {
		r.logits.grad[side*p.N+i] = y[i] * (dm[i] - along) / r.config.Tau
	}
}

// TestReference holds the first gradient and ten steps of the native engine against float64: a bit
// of the mask may differ only where its logit is that near to the others.
func TestReference(t *testing.T) {
	env := Env{Encoder: openEnv(t).Encoder}
	env.Engine = native.New(env.Encoder)
	_, j := lessonOf(t)
	for name, change := range map[string]func(*Config, *bank.Properties){
		"hard":     func(*Config, *bank.Properties) {},
		"soft":     func(c *Config, _ *bank.Properties) { c.Soft = true },
		"one mask": func(c *Config, _ *bank.Properties) { c.OneMask, c.Tau = true, 0.7 },
		"ReLU, without LN_b": func(c *Config, p *bank.Properties) {
			p.Activation, p.NormB, c.Affine = bank.ReLU,
				false, false
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := bank.Properties{Origin: bank.Random, N: 20, Blocks: 1, Hidden: env.Encoder.Hidden(), Bottleneck: 24,
				NormB: true, Seed: 7,
				SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB}
			c := quick()
			c.Head, c.HeadRate, c.Decay = true, 0.01, 0.05
			change(&c, &p)
			k, err := bank.NewRandom(p)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { k.Close() })
			env := env
			env.Bank = k
			againstReference(t, env, j, c)
		})
	}
}

func againstReference(t *testing.T, env Env, j Job, c Config) {
	ctx, p, rng := context.Background(), env.Bank.Properties(), rand.New(rand.NewPCG(11, 12))
	logits := NewLogits(p.N, 1)
	logits.jitter(0.3, rng)
	if c.OneMask {
		copy(logits.Values[p.N:], logits.Values)
	}
	j.Train = j.Train[:4]
	src := newMaskSource(env.Bank, c, nil, []*Logits{logits}, [][]float32{slices.Clone(env.Bank.Affine())})
	out := newOutput(c, &j)
	tr := newTrainer(env, src, out, c.Decay)
	in, err := prepared(ctx, env, Config{Mode: Masks, StemBudget: 1 << 30}, j.Train)
	if err != nil {
		t.Fatal(err)
	}
	ref := &wideRun{env: env, config: c, stems: in.stems.states, examples: j.Train, logits: widen(src.of[0].logits),
		norm: widen(src.of[0].norm),
		w:    widen(out.parts[0]), b: widen(out.parts[1]), bias: widen(out.bias)}
	for side := range ref.rows {
		rows, _, err := env.Bank.Rows(bank.Side(side), 0)
		if err != nil {
			t.Fatal(err)
		}
		ref.rows[side] = enginetest.Wide(rows)
	}
	src.of[0].draw = func(_ int, noise []float32) {
		gumbel(noise, rng)
		kept := slices.Clone(noise)
		if c.OneMask {
			copy(kept[p.N:], kept[:p.N])
		}
		ref.noise = append(ref.noise, kept)
	}
	for n := range 10 {
		if _, err := tr.gradient(ctx, in.batch(every(len(j.Train))), []float64{c.Nu}); err != nil {
			t.Fatal(err)
		}
		ref.step(n, c.Decay)
		if n == 0 {
			nearGradients(t, map[string][2]any{"logits": {src.of[0].logits, ref.logits},
				"LN_b": {src.of[0].norm, ref.norm},
				"W":    {out.parts[0], ref.w}, "B": {out.parts[1], ref.b}, "bias": {out.bias, ref.bias}})
		}
		for side := 0; !c.Soft && side < 2; side++ {
			for i, id := range src.picked[side] {
				if ref.picked[side][i] != int(id) {
					t.Fatalf("step %d, side %d: picked %v, want %v", n, side, src.picked[side], ref.picked[side])
				}
			}
		}
		tr.opt.update(1)
	}
	sameMasks(t, logits, ref.logits.value, c.K)
}

func nearGradients(t *testing.T, pairs map[string][2]any) {
	t.Helper()
	for name, pair := range pairs {
		off, size, got, want := 0.0, 0.0, pair[0].(*param).grad, pair[1].(*wide).grad
		for i, w := range want {
			off += (float64(got[i]) - w) * (float64(got[i]) - w)
			size += w * w
		}
		least := 0.0
		if name == "B" || name == "bias" {
			least = 1e-7 // sums of residuals p − y, which nearly cancel: float32 holds each to so much
		}
		if d := math.Sqrt(off / size); size > 0 && !(d <= 1e-5) && !(math.Sqrt(off) <= least) {
			t.Errorf("the gradient by %s is %.2g off", name, d)
		}
	}
}

// sameMasks wants the same k largest but where two logits are nearer than 1e-4.
func sameMasks(t *testing.T, logits *Logits, want []float64, k int) {
	t.Helper()
	worst := 0.0
	for r := range 2 {
		got, ref := logits.Values[r*logits.N:(r+1)*logits.N], want[r*logits.N:(r+1)*logits.N]
		least := slices.Clone(ref)
		slices.Sort(least)
		last, next := least[logits.N-k], least[logits.N-k-1]
		kth := slices.Clone(got)
		slices.Sort(kth)
		for i, x := range got {
			worst = max(worst, math.Abs(float64(x)-ref[i]))
			if in, wantIn := x >= kth[logits.N-k], ref[i] >= last; in != wantIn &&
				min(math.Abs(ref[i]-last), math.Abs(ref[i]-next)) >= 1e-4 {
				t.Errorf("row %d, adapter %d: selected %v, want %v (logits %g and %g)", r, i, in, wantIn, x, ref[i])
			}
		}
	}
	if t.Logf("largest difference of a logit: %.2g", worst); worst > 1e-4 {
		t.Errorf("a logit is %.2g off", worst)
	}
}
