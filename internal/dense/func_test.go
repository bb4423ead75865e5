package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestGELU(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		var x []float32
		for v := -12.0; v < 12; v += 0.0037 {
			x = append(x, float32(v))
		}
		x = append(x, 1e30, -1e30, 0, 1e-30)
		exact, tanh := slices.Clone(x), slices.Clone(x)
		GELU(exact)
		GELUTanh(tanh)
		for i, v := range x {
			v := float64(v)
			near(t, fmt.Sprintf("GELU(%v)", v), exact[i], v*(1+math.Erf(v/math.Sqrt2))/2, math.Abs(v), 4)
			near(t, fmt.Sprintf("GELUTanh(%v)", v), tanh[i],
				v*(1+math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))/2, math.Abs(v), 8)
		}
		for n := range 20 { // a value's result does not depend on its place
			y := slices.Clone(x[3000:][:n])
			GELU(y)
			if !slices.Equal(y, exact[3000:][:n]) {
				t.Errorf("the first %d values alone have other results", n)
			}
		}
		bad := []float32{float32(math.NaN())}
		if GELU(bad); bad[0] == bad[0] {
			t.Errorf("GELU(NaN) is %v", bad[0])
		}
		if GELUTanh(bad); bad[0] == bad[0] {
			t.Errorf("GELUTanh(NaN) is %v", bad[0])
		}
	})
}

func TestSoftmax(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for n := 1; n < 50; n++ {
			s := random(rng, n)
			for i := range s {
				s[i] *= 20
			}
			want, sum := make([]float64, n), 0.0
			for i, v := range s {
				want[i] = math.Exp(float64(v - slices.Max(s)))
				sum += want[i]
			}
			Softmax(s)
			for i := range s {
				near(t, fmt.Sprintf("Softmax of %d", n), s[i], want[i]/sum, max(want[i]/sum, 1e-30), 16)
			}
		}
		s := []float32{1, 2, 3, float32(math.NaN()), 1, 1, 1, 1}
		if Softmax(s); s[0] == s[0] {
			t.Errorf("with a NaN: got %v, want NaN", s)
		}
	})
}

func TestNorm(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for _, d := range []int{1, 3, 8, 24, 384, 385} {
			for _, plus := range []bool{false, true} {
				x, z, w, b := random(rng, d), random(rng, d), random(rng, d), random(rng, d)
				want := make([]float64, d)
				var mean, square float64
				for i := range want {
					if want[i] = float64(x[i]); plus {
						want[i] += float64(z[i])
					}
					mean += want[i] / float64(d)
				}
				for _, v := range want {
					square += (v - mean) * (v - mean) / float64(d)
				}
				if !plus {
					z = nil
				}
				Norm(x, x, z, w, b, 1e-5)
				for i, v := range want {
					v := (v-mean)/math.Sqrt(square+1e-5)*float64(w[i]) + float64(b[i])
					near(t, fmt.Sprintf("Norm of %d", d), x[i], v, 10, 4)
				}
			}
		}
	})
}
