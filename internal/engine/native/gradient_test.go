package native

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/enginetest"
	"github.com/xpeft/xpeft/model"
)

// kind is which parts an adapter has.
type kind struct {
	act            model.Activation
	down, up, norm bool
	name           string
}

func kinds() (all []kind) {
	for _, act := range []model.Activation{model.Identity, model.ReLU} {
		for i := range 8 {
			k := kind{act: act, down: i&1 > 0, up: i&2 > 0, norm: i&4 > 0}
			k.name = fmt.Sprintf("ReLU %t, biases %t and %t, LN_b %t", act == model.ReLU, k.down, k.up, k.norm)
			all = append(all, k)
		}
	}
	return all
}

func normal(rng *rand.Rand, n int, mean, sigma float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(mean + sigma*rng.NormFloat64())
	}
	return x
}

// adapter is one of b units, of a size that moves the states.
func (k kind) adapter(rng *rand.Rand, d, b int) *model.Adapter {
	a := &model.Adapter{Blocks: 1, Bottleneck: b, Activation: k.act, Down: normal(rng, d*b, 0, 0.1),
		Up: normal(rng, d*b, 0, 0.1)}
	if k.down {
		a.DownBias = normal(rng, b, 0, 0.5)
	}
	if k.up {
		a.UpBias = normal(rng, d, 0, 0.1)
	}
	if k.norm {
		a.Norm = append(normal(rng, b, 1, 0.3), normal(rng, b, 0, 0.3)...)
	}
	return a
}

// lesson is rows with made-up stems, of 1 to 5 tokens.
func lesson(rng *rand.Rand, enc *model.Encoder, owner []int) engine.Rows {
	r := engine.Rows{Owner: owner, From: enc.Blocks() - 1}
	for i := range owner {
		tokens := 1 + (3*i)%5
		r.Texts = append(r.Texts, model.Encoding{IDs: make([]int32, tokens), TypeIDs: make([]int32, tokens)})
		r.Stems = append(r.Stems, normal(rng, tokens*enc.Hidden(), 0.1, 0.7))
	}
	return r
}

// target of a row's embedding: the loss is half the squared distance.
func target(row, j int) float64 { return math.Sin(float64(1 + row*7 + j)) }

func toTarget(row int, x, dx []float32) {
	for j := range x {
		dx[j] = x[j] - float32(target(row, j))
	}
}

// reference is the gradient by every adapter's parts in float64, and each row's embedding.
func reference(enc *model.Encoder, r engine.Rows, adapters []*model.Adapter, states bool) (
	parts []map[string][]float64, xs [][]float64) {
	for range adapters {
		parts = append(parts, map[string][]float64{})
	}
	for i, stem := range r.Stems {
		tape, of := new(enginetest.Tape), parts[r.Owner[i]]
		a := tape.NewAdapter(adapters[r.Owner[i]])
		var losses []*enginetest.Num
		x := make([]float64, enc.Hidden())
		for j, n := range tape.Embed(enc, stem, a, states) {
			off := tape.Sub(n, tape.New(target(i, j)))
			losses, x[j] = append(losses, tape.Mul(off, off)), n.X
		}
		tape.Back(tape.Sum(0.5, losses...))
		xs = append(xs, x)
		for name, nums := range a.Parts() {
			if of[name] == nil {
				of[name] = make([]float64, len(nums))
			}
			for j, n := range nums {
				of[name][j] += n.G
			}
		}
	}
	return parts, xs
}

// distance is ‖got − want‖/‖want‖.
func distance(got []float32, want []float64) float64 {
	off, size := 0.0, 0.0
	for i, w := range want {
		off += (float64(got[i]) - w) * (float64(got[i]) - w)
		size += w * w
	}
	return math.Sqrt(off / size)
}

// TestGradient compares every tensor's gradient with the float64 reference.
func TestGradient(t *testing.T) {
	const most = 1e-5
	for i, how := range []model.Pooling{model.PoolMean, model.PoolCLS, model.PoolPooler, model.PoolCLS,
		model.PoolPooler} {
		enc := enginetest.Encoder(t, how)
		var taps []int
		if i > 2 { // of the states
			taps = []int{enc.Blocks()}
		}
		worst := 0.0
		for _, k := range kinds() {
			rng := rand.New(rand.NewPCG(1, uint64(how)))
			for _, owner := range [][]int{{0, 0, 0}, {0, 2, 1, 0, 2}} {
				var adapters []*model.Adapter
				for i := range 1 + slices.Max(owner) {
					adapters = append(adapters, k.adapter(rng, enc.Hidden(), 5+3*i))
				}
				r := lesson(rng, enc, owner)
				xs := make([][]float32, len(owner))
				got, err := New(enc).Gradient(context.Background(), r, adapters, taps, func(row int, x, dx []float32) {
					xs[row] = slices.Clone(x)
					toTarget(row, x, dx)
				})
				if err != nil {
					t.Fatal(err)
				}
				want, wantXs := reference(enc, r, adapters, len(taps) > 0)
				for i, x := range wantXs {
					if d := distance(xs[i], x); !(d <= most) {
						t.Fatalf("%v, %s: row %d's embedding is %.2g off", how, k.name, i, d)
					}
				}
				for i, g := range got {
					parts := map[string][]float32{"Down": g.Down, "Up": g.Up, "DownBias": g.DownBias,
						"UpBias": g.UpBias, "Norm": g.Norm}
					for name, part := range parts {
						if len(part) != len(want[i][name]) {
							t.Fatalf("%v, %s: %s has %d values, want %d", how, k.name, name, len(part),
								len(want[i][name]))
						}
						if len(part) == 0 {
							continue
						}
						d := distance(part, want[i][name])
						if worst = max(worst, d); !(d <= most) {
							t.Errorf("%v, %s, %d adapters: the gradient by %s of adapter %d is %.2g off", how, k.name,
								len(adapters), name, i, d)
						}
					}
				}
			}
		}
		t.Logf("%v, taps %v: largest distance %.2g", how, taps, worst)
	}
}

// TestGradientSameBits: on any number of threads.
func TestGradientSameBits(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	rng := rand.New(rand.NewPCG(3, 4))
	k := kinds()[15]
	adapters := []*model.Adapter{k.adapter(rng, enc.Hidden(), 24), k.adapter(rng, enc.Hidden(), 24)}
	r := lesson(rng, enc, []int{0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 1})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first []*model.Adapter
	for _, threads := range []int{1, 2, 8, 8} {
		runtime.GOMAXPROCS(threads)
		e := New(enc)
		for range 3 { // later calls use memory again
			got, err := e.Gradient(context.Background(), r, adapters, nil, toTarget)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = got
			}
			for i, g := range got {
				w := first[i]
				if !slices.Equal(g.Down, w.Down) || !slices.Equal(g.Up, w.Up) ||
					!slices.Equal(g.DownBias, w.DownBias) || !slices.Equal(g.UpBias, w.UpBias) ||
					!slices.Equal(g.Norm, w.Norm) {
					t.Fatalf("%d threads: adapter %d has another gradient than on one", threads, i)
				}
			}
		}
	}
}

// TestGradientOwners: without owners all rows have the first adapter; one without rows gets zeros,
// and a bare row its embedding alone.
func TestGradientOwners(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	rng := rand.New(rand.NewPCG(5, 6))
	k, ctx := kinds()[15], context.Background()
	a, b := k.adapter(rng, enc.Hidden(), 8), k.adapter(rng, enc.Hidden(), 8)
	r := lesson(rng, enc, []int{0, 0, 0})
	want, err := New(enc).Gradient(ctx, r, []*model.Adapter{a}, nil, toTarget)
	if err != nil {
		t.Fatal(err)
	}
	r.Owner = nil
	got, err := New(enc).Gradient(ctx, r, []*model.Adapter{a}, nil, toTarget)
	if err != nil || !slices.Equal(got[0].Down, want[0].Down) {
		t.Errorf("no owners: got another gradient than with owners (%v)", err)
	}
	r.Owner = []int{0, 2, 0}
	calls := make([]int, 3)
	got, err = New(enc).Gradient(ctx, r, []*model.Adapter{a, b, nil}, nil, func(row int, x, dx []float32) {
		calls[row]++
		toTarget(row, x, dx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(calls, []int{1, 1, 1}) {
		t.Errorf("got losses of rows %v times, want once each", calls)
	}
	if slices.ContainsFunc(got[1].Down, func(x float32) bool { return x != 0 }) || len(got[1].Norm) != len(b.Norm) ||
		got[2] != nil {
		t.Error("an adapter without rows has a gradient, or a bare one")
	}
}

// TestGradientRefuses what the formulas do not cover.
func TestGradientRefuses(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	rng := rand.New(rand.NewPCG(7, 8))
	k := kinds()[4]
	for name, change := range map[string]func(*engine.Rows, *model.Adapter){
		"owner":      func(r *engine.Rows, _ *model.Adapter) { r.Owner[1] = 1 },
		"owners":     func(r *engine.Rows, _ *model.Adapter) { r.Owner = r.Owner[1:] },
		"from":       func(r *engine.Rows, _ *model.Adapter) { r.From-- },
		"stem":       func(r *engine.Rows, _ *model.Adapter) { r.Stems[2] = r.Stems[2][1:] },
		"stems":      func(r *engine.Rows, _ *model.Adapter) { r.Stems = r.Stems[1:] },
		"weights":    func(_ *engine.Rows, a *model.Adapter) { a.Up = a.Up[1:] },
		"norm":       func(_ *engine.Rows, a *model.Adapter) { a.Norm = a.Norm[1:] },
		"bottleneck": func(_ *engine.Rows, a *model.Adapter) { a.Bottleneck = 0 },
	} {
		r, a := lesson(rng, enc, []int{0, 0, 0}), k.adapter(rng, enc.Hidden(), 8)
		change(&r, a)
		if _, err := New(enc).Gradient(context.Background(), r, []*model.Adapter{a}, nil, toTarget); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	r, a := lesson(rng, enc, []int{0}), k.adapter(rng, enc.Hidden(), 8)
	for _, taps := range [][]int{{enc.Blocks() - 1}, {enc.Blocks() - 1, enc.Blocks()}} {
		if _, err := New(enc).Gradient(context.Background(), r, []*model.Adapter{a}, taps, toTarget); err == nil {
			t.Errorf("taps %v: got no error", taps)
		}
	}
	a.Blocks = 2
	if _, err := New(enc).Gradient(context.Background(), r, []*model.Adapter{a}, nil, toTarget); !errors.Is(err,
		engine.ErrUntrainable) {
		t.Errorf("two blocks: got %v, want ErrUntrainable", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.Blocks = 1
	if _, err := New(enc).Gradient(ctx, r, []*model.Adapter{a}, nil, toTarget); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
