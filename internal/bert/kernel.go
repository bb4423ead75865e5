package bert

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// ErrNoKernel marks a kernel that this processor, or this build, cannot run.
var ErrNoKernel = errors.New("bert: no such kernel here")

// pair is a path for some processors, and its twin.
type pair struct{ kernels, twin kernels }

// Portable is the path in Go, which runs everywhere.
const Portable = "portable"

// KnownKernel says whether a kernel has that name, here or elsewhere: "" stands for the fastest
// here.
func KnownKernel(name string) bool {
	return name == "" || name == "amx" || name == "avx512" || name == "avx2" || name == Portable
}

// Kernel says what runs on this machine if that kernel is asked for: c-amx, c-avx512, c-avx2,
// go-avx2, go-neon or go.
func Kernel(want string) (string, error) {
	k, err := choose(want)
	if err != nil || k == nil {
		return goName(), err
	}
	return "c-" + k.name, nil
}

// Served is the precision of that kernel's passes if p is asked for: Float32 where it can do no
// other.
func Served(kernel string, p Precision) Precision {
	if k, _ := choose(kernel); k == nil || !k.does(p) {
		return Float32
	}
	return p
}

// choose is the path in C of that name, or the fastest; nil for the one in Go.
func choose(want string) (*kernels, error) {
	if want == Portable {
		return nil, nil
	}
	for _, k := range working() {
		if want == "" || want == k.name {
			return &k, nil
		}
	}
	if want != "" {
		return nil, fmt.Errorf("%w: %q", ErrNoKernel, want)
	}
	return nil, nil
}

// working are the paths in C that this processor and its system can run, and that agree with their
// twins on a small model: a compiler or an imitated processor may be wrong. It takes some
// milliseconds, once.
var working = sync.OnceValue(func() (all []kernels) {
	for _, f := range fast {
		k := f.kernels
		if !k.runs() {
			continue
		}
		right := map[Precision]bool{}
		for p := range precisions {
			right[p] = k.does(p) && agree(k, f.twin, p)
		}
		k.does = func(p Precision) bool { return right[p] }
		if right[Float32] {
			all = append(all, k)
		}
	}
	return all
})

// agree compares two paths. They should agree to the bit, which tests check, but for bfloat16,
// whose order of sums processors keep to themselves; here only what is plainly wrong counts.
func agree(a, b kernels, in Precision) bool {
	x, y, most := sample(a, in), sample(b, in), 1e-4
	if in == BFloat16 {
		most = 1e-2
	}
	for i := range x {
		if !(math.Abs(float64(x[i]-y[i])) <= most) {
			return false
		}
	}
	return true
}

// sample is vectors of a model of one block, whose sizes are no whole number of vectors.
func sample(k kernels, in Precision) []float32 {
	const d, wide, tokens = 42, 75, 19
	seed := uint32(1)
	values := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			seed = seed*1664525 + 1013904223
			v[i] = float32(int32(seed)) / (1 << 32)
		}
		return v
	}
	linear := func(out, in int) Linear { return Linear{W: values(out * in), B: values(out), Out: out, In: in} }
	norm := func() Norm { return Norm{values(d), values(d)} }
	w := Weights{Hidden: d, Heads: 3, Eps: 1e-12, Words: values(d), Positions: values(tokens * d), Types: values(d),
		Embeddings: norm(), Blocks: []Block{{QKV: linear(3*d, d), Out: linear(d, d), Up: linear(wide, d),
			Down: linear(d, wide), Attention: norm(), FFN: norm()}}}
	m := newModel(w, newC(w, k, in))
	defer m.Free()
	x := make([]float32, 2*d)
	m.Embed(Batch{IDs: make([]int32, tokens+1), Types: make([]int32, tokens+1), Lengths: []int32{1, tokens}}, nil,
		Mean, x, nil, nil)
	return x
}
