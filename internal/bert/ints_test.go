package bert

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var allPrecisions = []Precision{Float32, Int16, Int8, BFloat16}

// below32 are the paths that do layers in one of these precisions: twins everywhere, and what runs
// here.
func below32(in Precision) (some []kernels) {
	for _, p := range fast {
		for _, k := range []kernels{p.kernels, p.twin} {
			if k.runs() && k.does(in) && !slices.ContainsFunc(some, func(s kernels) bool { return s.name == k.name }) {
				some = append(some, k)
			}
		}
	}
	return some
}

// TestInts compares each precision with float32, and each text with itself alone: others in its
// batch, one of far larger states among them, change no bit of its vector.
func TestInts(t *testing.T) {
	for _, s := range []shape{{2, 48, 3, 100, GELU}, {1, 15, 5, 17, GELUTanh}, {1, 312, 12, 70, GELU},
		{1, 336, 12, 40, ReLU}} {
		rng := rand.New(rand.NewPCG(1, 2))
		w := s.weights(rng)
		for i := range s.hidden {
			w.Words[3*s.hidden+i] *= 1e4
		}
		w.Embeddings.Weight[1] = 30 // an outlier of a channel
		as, exact := s.adapters(rng), newModel(w, newGo(w))
		b := texts(rng, len(as), 1, 2, 17, 30, 3, 12)
		b.IDs[1] = 3
		want, got := make([]float32, len(b.Lengths)*s.hidden), make([]float32, len(b.Lengths)*s.hidden)
		exact.Embed(b, as, Mean, want, nil, nil)
		for in, most := range map[Precision]float64{Int16: 4e-3, BFloat16: 2e-2, Int8: 0.15} {
			for _, k := range below32(in) {
				m := newModel(w, newC(w, k, in))
				m.Embed(b, as, Mean, got, nil, nil)
				if d := far(got, want); !(d > 1e-6 && d <= most) {
					t.Errorf("%s in %v, %v: %.3g from float32, want at most %g, and not nothing",
						k.name, in, s, d, most)
				}
				checkAlone(t, m, b, as, Mean, got)
				m.Free()
			}
		}
	}
}

// TestIntsOverflow: no weights and inputs make a sum leave its 32 bits. With all of one sign and of
// one size, sums are as large as they can be.
func TestIntsOverflow(t *testing.T) {
	s := shape{1, 400, 4, 1200, ReLU}
	w := s.weights(rand.New(rand.NewPCG(1, 2)))
	for i := range w.Blocks[0].Up.W {
		w.Blocks[0].Up.W[i] = 0.01
		w.Blocks[0].Down.W[i] = -0.01
	}
	for i := range s.hidden {
		w.Blocks[0].Attention.Bias[i] = 50
	}
	b := texts(rand.New(rand.NewPCG(1, 2)), 0, 3)
	want, got := make([]float32, s.hidden), make([]float32, s.hidden)
	newModel(w, newGo(w)).Embed(b, nil, Mean, want, nil, nil)
	for _, in := range []Precision{Int16, Int8} {
		for _, k := range below32(in) {
			m := newModel(w, newC(w, k, in))
			if m.Embed(b, nil, Mean, got, nil, nil); !(far(got, want) <= 0.05) {
				t.Errorf("%s in %v: %.3g from float32", k.name, in, far(got, want))
			}
			m.Free()
		}
	}
}

// TestQuantize: weights are within half a step, their sums are right, and no sum of products can
// leave 32 bits, however large the layer is.
func TestQuantize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, ins := range []int{1, 5, 16, 384, 4096, 60000} {
		for _, in := range []Precision{Int16, Int8} {
			l := Linear{W: random(rng, 2*ins, 1), B: make([]float32, 2), Out: 2, In: ins}
			for i := range ins {
				l.W[i] = 1 - 2*float32(i%2)
			}
			q, size, input := quantize(l, in, 32), 1, 255
			if in == Int16 {
				size, input = 2, 4097
			}
			for j := range l.Out {
				sum, sizes := 0, 0
				for k := range ins {
					v := q.weight(j, k*size, size, roundUp(ins, 16)*size)
					sum, sizes = sum+v, sizes+max(v, -v)
					off := float64(l.W[j*ins+k]) - float64(v)*float64(q.Scale[j])
					if math.Abs(off) > 0.5001*float64(q.Scale[j]) {
						t.Fatalf("%v, %d inputs: weight %d of %d is %g off, a step is %g",
							in, ins, k, j, off, q.Scale[j])
					}
				}
				got, want := float64(q.Sums[j]), float64(sum)*float64(q.Scale[j])
				if math.Abs(got-want) > 1e-6*math.Abs(want) {
					t.Errorf("%v, %d inputs: got a sum of %g, want %g", in, ins, got, want)
				}
				if sizes*input > math.MaxInt32 {
					t.Errorf("%v, %d inputs: sums can be %d", in, ins, sizes*input)
				}
			}
		}
	}
}

// weight reads the one of output j < 32 that begins at byte k of ldq bytes.
func (q quantized) weight(j, k, size, ldq int) int {
	at := j/32*32*ldq + k/4*4*32 + j%32*4 + k%4
	if size == 1 {
		return int(int8(q.Q[at]))
	}
	return int(int16(uint16(q.Q[at]) | uint16(q.Q[at+1])<<8))
}

// TestIntsOfNaN: where a weight is no number, no answer is one.
func TestIntsOfNaN(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		for _, in := range []Precision{Int16, Int8} {
			l := Linear{W: []float32{1, float32(v), -2}, B: make([]float32, 1), Out: 1, In: 3}
			if q := quantize(l, in, 32); q.Scale[0] == q.Scale[0] {
				t.Errorf("%v: got a scale of %v of a weight of %v, want NaN", in, q.Scale[0], v)
			}
		}
		s := shape{1, 48, 3, 16, GELU}
		w := s.weights(rand.New(rand.NewPCG(5, 6)))
		w.Blocks[0].Up.W[40] = float32(v)
		b, x := texts(rand.New(rand.NewPCG(5, 6)), 0, 5), make([]float32, 48)
		for _, in := range allPrecisions {
			for _, k := range below32(in) {
				m := newModel(w, newC(w, k, in))
				m.Embed(b, nil, Mean, x, nil, nil)
				if i := slices.IndexFunc(x, func(v float32) bool { return v == v }); in != Float32 && i >= 0 {
					t.Errorf("%s in %v: got %v of a weight of %v", k.name, in, x[i], v)
				}
				m.Free()
			}
		}
	}
}

// TestServed: a kernel without whole numbers serves in float32.
func TestServed(t *testing.T) {
	for _, in := range allPrecisions {
		for _, kernel := range []string{Portable, "avx2", "sse9"} {
			if got := Served(kernel, in); got != Float32 {
				t.Errorf("%s, asked for %v: got %v, want float32", kernel, in, got)
			}
		}
		want := Float32
		if k, err := choose(""); err == nil && k != nil && k.does(in) {
			want = in
		}
		if got := Served("", in); got != want {
			t.Errorf("asked for %v: got %v, want %v", in, got, want)
		}
	}
	if got := fmt.Sprint(allPrecisions); got != "[float32 int16 int8 bfloat16]" {
		t.Errorf("got %s", got)
	}
}
