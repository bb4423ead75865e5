package bert

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// twins are a model by a path in C that runs here, and by its twin, in each precision that they
// have.
func twins(t testing.TB, w Weights, test func(fast, twin *Model)) {
	t.Helper()
	for _, p := range fast {
		if !p.kernels.runs() {
			t.Logf("%s does not run here: only its twin does", p.kernels.name)
			continue
		}
		for _, in := range allPrecisions {
			if !p.kernels.does(in) {
				continue
			}
			a, b := newModel(w, newC(w, p.kernels, in)), newModel(w, newC(w, p.twin, in))
			test(a, b)
			a.Free()
			b.Free()
		}
	}
}

// alike wants a twin's bits, but in bfloat16 only what rounding may do: the order of a product of
// tiles' sums is the processor's, and what is then rounded to 8 bits may differ by one of them.
func alike(t testing.TB, what string, m *Model, got, want []float32) {
	t.Helper()
	if !strings.HasSuffix(m.Kernel(), "-bfloat16") {
		sameBits(t, what, got, want)
		return
	}
	for i, w := range want {
		if g := got[i]; math.Abs(float64(g-w)) > 0.02*max(1, math.Abs(float64(w))) || (g != g) != (w != w) {
			t.Fatalf("%s: value %d of %d: got %v, its twin %v", what, i, len(want), g, w)
		}
	}
}

// sameBits counts NaN as NaN.
func sameBits(t testing.TB, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if g, w := got[i], want[i]; math.Float32bits(g) != math.Float32bits(w) && (g == g || w == w) {
			t.Fatalf("%s: value %d of %d: got %v, want its twin's %v", what, i, len(want), g, w)
		}
	}
}

// checkTwins compares all that a pass gives.
func checkTwins(t testing.TB, s shape, rng *rand.Rand, lengths ...int32) {
	t.Helper()
	w := s.weights(rng)
	as := s.adapters(rng)
	b := texts(rng, len(as), lengths...)
	taps := []int32{0, int32(s.blocks)}
	twins(t, w, func(fast, twin *Model) {
		t.Helper()
		var all [2][]float32
		for i, m := range []*Model{fast, twin} {
			for _, how := range []Pooling{Mean, Pooler} {
				x, pooled := make([]float32, len(b.Lengths)*s.hidden), make([]float32, 2*len(b.Lengths)*s.hidden)
				m.Embed(b, as, how, x, taps, pooled)
				all[i] = append(append(all[i], x...), pooled...)
			}
		}
		alike(t, fmt.Sprint(fast.Kernel(), s, lengths), fast, all[0], all[1])
	})
}

// TestTwins wants each path's bits from its twin, at widths that are and are not whole numbers of
// vectors.
func TestTwins(t *testing.T) {
	for _, s := range append(shapes[:len(shapes):len(shapes)], shape{1, 312, 12, 100, GELU},
		shape{1, 336, 12, 70, GELUTanh}) {
		rng := rand.New(rand.NewPCG(3, 4))
		checkTwins(t, s, rng, 1, 2, 15, 33, 7, 16)
	}
}

// TestTwinsOfNaN: an answer of NaN weights must be NaN everywhere, and infinite values the same.
func TestTwinsOfNaN(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), 3e38, 1e-40} {
		for _, act := range []Activation{GELU, GELUTanh, ReLU} {
			s := shape{1, 48, 3, 16, act}
			w := s.weights(rand.New(rand.NewPCG(5, 6)))
			w.Blocks[0].Up.W[40], w.Words[7] = float32(v), float32(v)
			b := texts(rand.New(rand.NewPCG(5, 6)), 0, 5, 40)
			twins(t, w, func(fast, twin *Model) {
				x, y := make([]float32, 2*48), make([]float32, 2*48)
				fast.Embed(b, nil, Mean, x, nil, nil)
				twin.Embed(b, nil, Mean, y, nil, nil)
				alike(t, fmt.Sprint(fast.Kernel(), v, act), fast, x, y)
			})
		}
	}
}

// FuzzTwins runs texts of 1 to 512 tokens through small models of any width, and of up to 64
// through those of 312 and 336: the fuzzer takes ten seconds for a deadlock, and a twin is slow.
func FuzzTwins(f *testing.F) {
	f.Add(uint64(1), uint16(312), uint16(512), uint16(1))
	f.Add(uint64(2), uint16(336), uint16(31), uint16(33))
	f.Add(uint64(3), uint16(17), uint16(200), uint16(64))
	f.Fuzz(func(t *testing.T, seed uint64, width, a, b uint16) {
		rng := rand.New(rand.NewPCG(seed, 7))
		s := shape{1, 1 + int(width)%40, 1, 1 + rng.IntN(80), Activation(rng.IntN(3))}
		if width == 312 || width == 336 {
			s.hidden, s.heads, a, b = int(width), 12, a%64, b%64
		}
		checkTwins(t, s, rng, 1+int32(a)%512, 1+int32(b)%512)
	})
}

// TestKernel forces each path, and none that there is not.
func TestKernel(t *testing.T) {
	w := shapes[0].weights(rand.New(rand.NewPCG(1, 2)))
	for _, name := range []string{"", "avx2", "avx512", "amx", Portable} {
		m, err := New(w, name, Float32)
		if errors.Is(err, ErrNoKernel) && name != "" && name != Portable {
			t.Logf("%s does not run here", name)
			continue
		}
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		want, err := Kernel(name)
		if err != nil || m.Kernel() != want || !KnownKernel(name) {
			t.Errorf("%q: got %s, %v, want %s", name, m.Kernel(), err, want)
		}
		m.Free()
	}
	if got, _ := Kernel(Portable); got != goName() {
		t.Errorf("portable: got %s, want %s", got, goName())
	}
	if _, err := New(w, "sse9", Float32); !errors.Is(err, ErrNoKernel) || KnownKernel("sse9") {
		t.Errorf("got %v, want %v", err, ErrNoKernel)
	}
}

// TestWorking: what runs here is chosen. A path that is not must have failed the check against its
// twin.
func TestWorking(t *testing.T) {
	n := 0
	for _, p := range fast {
		if p.kernels.runs() {
			n++
			for _, in := range allPrecisions {
				if p.kernels.does(in) && in != BFloat16 {
					sameBits(t, fmt.Sprint(p.kernels.name, in), sample(p.kernels, in), sample(p.twin, in))
				}
			}
		}
	}
	if got := len(working()); got != n {
		t.Errorf("got %d paths, want %d", got, n)
	}
}
