package digits

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/numeric"
)

// randomPerson has n examples whose labels depend on their projections; several of its values
// differ in kind with seed.
func randomPerson(seed uint64, n, A, C int) *Person {
	r := rand.New(rand.NewPCG(seed, 24))
	p := &Person{A: A, C: C, Digits: 2, Prior: countPrior}
	truth := make([]float64, C*A)
	for k := range truth {
		truth[k] = 2 * r.NormFloat64()
	}
	for range n {
		x := make([]float64, A)
		for j := range x {
			x[j] = r.NormFloat64() / math.Sqrt(float64(A)) * 1.2
		}
		best, at := math.Inf(-1), 0
		for c := range C {
			base := 0.3 * r.NormFloat64()
			p.Base = append(p.Base, float32(base))
			if v := base + numeric.Dot(x, truth[c*A:(c+1)*A]) + r.NormFloat64(); v > best {
				best, at = v, c
			}
		}
		p.P, p.Class = append(p.P, numeric.Narrow(x)...), append(p.Class, at)
	}
	return p
}

// countPrior is model.Head.Prior of an untrained head, with strength 3.
func countPrior(counts []uint32) []float32 {
	n, q := 0.0, 1/float64(len(counts))
	for _, c := range counts {
		n += float64(c)
	}
	if n == 0 {
		return nil
	}
	out := make([]float32, len(counts))
	for c := range counts {
		out[c] = float32(math.Log((float64(counts[c])+3*q)/(n+3)) - math.Log(q))
	}
	return out
}

// withAll adds weights and rejections.
func withAll(p *Person) *Person {
	for i := range p.Class {
		p.Weight = append(p.Weight, float32(i%3))
		p.Rejected = append(p.Rejected, i%5 == 4)
	}
	return p
}

func randomFit(seed uint64, n, A, C int) *fit {
	d := newData(withAll(randomPerson(seed, n, A, C)))
	f := newFit(d, d.everyone(), nil, 0.7)
	f.lambda = 0.2
	return f
}

func checkGradient(t *testing.T, f numeric.Objective, x []float64) {
	t.Helper()
	g, scratch := make([]float64, len(x)), make([]float64, len(x))
	f(x, g)
	for k := range x {
		const h = 1e-5
		old := x[k]
		x[k] = old + h
		up := f(x, scratch)
		x[k] = old - h
		down := f(x, scratch)
		x[k] = old
		if want := (up - down) / (2 * h); !(math.Abs(g[k]-want) <= 1e-6*(1+math.Abs(want))) {
			t.Fatalf("gradient %d: got %g, want %g by finite differences", k, g[k], want)
		}
	}
}

func TestGradients(t *testing.T) {
	for seed := range uint64(4) {
		f := randomFit(seed, 9+int(seed)*3, 6, 2+int(seed))
		r := rand.New(rand.NewPCG(seed, 1))
		x := make([]float64, len(f.rows)*(f.dim+1))
		for k := range x {
			x[k] = r.NormFloat64()
		}
		checkGradient(t, f.convex, x)

		c, err := f.round(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		z, probs := f.z(x), slices.Clone(f.probabilities(x))
		target := newTarget(c, z, probs, f.axes)
		checkGradient(t, func(x, g []float64) float64 { return f.coded(c, target, x, g, true) }, x[:2*len(f.rows)])
	}
}

// TestLossOfExtremes: losses stay finite, and right, where a probability rounds to 0 or 1.
func TestLossOfExtremes(t *testing.T) {
	for _, test := range []struct {
		logits   []float64
		rejected bool
		want     float64
	}{
		{[]float64{800, 0}, false, 0},
		{[]float64{-800, 0}, false, 800},
		{[]float64{800, 0}, true, 800},
		{[]float64{-800, 0}, true, 0},
		{[]float64{0, 0, 0, 0}, true, -math.Log(0.75)},
	} {
		logits := append([]float64(nil), test.logits...)
		if got := lossOf(logits, 0, test.rejected); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("loss of %v, rejected %v: got %g, want %g", test.logits, test.rejected, got, test.want)
		}
		for _, v := range logits {
			if math.IsNaN(v) || math.Abs(v) > 1 {
				t.Errorf("derivatives of %v, rejected %v: got %v, want them within 1", test.logits, test.rejected,
					logits)
			}
		}
	}
}

func TestSolveGoesDown(t *testing.T) {
	for seed := range uint64(20) {
		n, C := 1+int(seed*7%40), 2+int(seed%5)
		f := randomFit(seed, n, 12, C)
		r := rand.New(rand.NewPCG(seed, 2))
		x, g := make([]float64, len(f.rows)*(f.dim+1)), make([]float64, len(f.rows)*(f.dim+1))
		for k := range x {
			x[k] = 3 * r.NormFloat64()
		}
		start := f.convex(x, g)
		end, err := f.solve(context.Background(), x, 1e-10)
		if err != nil {
			t.Fatal(err)
		}
		f.convex(x, g)
		if size := math.Sqrt(numeric.Dot(g, g)); !(end <= start) || size > 1e-4 {
			t.Errorf("seed %d: from %g to %g with a gradient of %g, want less, and none", seed, start, end, size)
		}
	}
}

// TestSpanIsTheSameProblem: the solution in the examples' span is that in all axes, also where
// examples repeat.
func TestSpanIsTheSameProblem(t *testing.T) {
	p := randomPerson(3, 14, 60, 3)
	copy(p.P[:60], p.P[60:120])
	d := newData(p)
	if d.span == nil || d.dim != 13 {
		t.Fatalf("got a span of %d, want 13: two of 14 examples are equal", d.dim)
	}
	var z [2][]float64
	for k := range z {
		if k == 1 {
			d.u, d.dim, d.span = d.p, d.axes, nil
		}
		f := newFit(d, d.everyone(), nil, 1)
		f.lambda = 0.3
		x := make([]float64, len(f.rows)*(f.dim+1))
		if _, err := f.solve(context.Background(), x, final); err != nil {
			t.Fatal(err)
		}
		z[k] = f.z(x)
	}
	golden.Near(t, "z", z[0], z[1], 1e-6, 0)
}

// TestWeightIsRepetition: an example of weight 2 is two of weight 1.
func TestWeightIsRepetition(t *testing.T) {
	p := randomPerson(5, 12, 4, 3)
	p.Weight = make([]float32, 12)
	p.Weight[2] = 2
	twice := randomPerson(5, 12, 4, 3)
	twice.P = append(twice.P, twice.P[8:12]...)
	twice.Base = append(twice.Base, twice.Base[6:9]...)
	twice.Class = append(twice.Class, twice.Class[2])
	var x [2][]float64
	for k, p := range []*Person{p, twice} {
		d := newData(p)
		f := newFit(d, d.everyone(), nil, 1)
		f.lambda = 0.3
		x[k] = make([]float64, len(f.rows)*(f.dim+1))
		if _, err := f.solve(context.Background(), x[k], final); err != nil {
			t.Fatal(err)
		}
	}
	golden.Near(t, "z and b", x[0], x[1], 1e-6, 0)
}

// TestCodeIsAPlainAverage writes out the average that a row of digits stands for: of the 2K
// directions ± K·2^-m·V_j, a row takes one of each pair, and its vector is the mean of the K that
// it takes.
func TestCodeIsAPlainAverage(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for digits := 1; digits <= 8; digits++ {
		const A, D = 5, 9
		V := make([]float64, A*D)
		for k := range V {
			V[k] = r.NormFloat64()
		}
		K := A * digits
		var directions [][]float64 // 2K: minus, then plus, of each axis and digit
		for j := range A {
			for m := 1; m <= digits; m++ {
				for _, sign := range []float64{-1, 1} {
					v := make([]float64, D)
					numeric.Add(v, sign*float64(K)*math.Exp2(-float64(m)), V[j*D:(j+1)*D])
					directions = append(directions, v)
				}
			}
		}
		level, z := make([]float64, A), make([]float64, A)
		for j := range z {
			z[j] = r.NormFloat64()
		}
		if b := roundRow(level, z, digits); b == 0 {
			t.Fatal("got no scale")
		}
		row := bits(nil, level, digits)
		if got := len(row); got != (K+7)/8 {
			t.Fatalf("%d digits: got %d bytes, want %d", digits, got, (K+7)/8)
		}
		average := make([]float64, D)
		for i := range K {
			plus := int(row[i/8]>>(i%8)) & 1
			numeric.Add(average, 1/float64(K), directions[2*i+plus])
		}
		folded := make([]float64, D)
		for j, v := range level {
			numeric.Add(folded, v, V[j*D:(j+1)*D])
		}
		golden.Near(t, fmt.Sprintf("case %d, average", digits), average, folded, 1e-12, 0)
	}
}

// TestSplit: two rows of half the digits say on two labels' logits what one row says of their
// difference.
func TestSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	for digits := 2; digits <= 16; digits += 2 {
		level, levels, scale := make([]float64, 50), newLevels(digits), byte(150+digits)
		for j := range level {
			level[j] = levels.nearest(2*r.Float64() - 1)
		}
		rows, scales := split(level, digits, scale)
		for j, v := range level {
			got := Scale(scales[1])*valueOf(rows[1], j, digits/2) - Scale(scales[0])*valueOf(rows[0], j, digits/2)
			if want := Scale(scale) * v; math.Abs(got-want) > 1e-12*Scale(scale) {
				t.Fatalf("%d digits, axis %d: got %g, want %g", digits, j, got, want)
			}
		}
	}
	if _, scales := split([]float64{0.75, -0.75}, 4, 20); scales != [2]byte{1, 20} {
		t.Errorf("of a small scale: got %v, want no scale below 1", scales)
	}
}

// valueOf is what a row's digits say on an axis: Σ ±2^-m.
func valueOf(row []byte, axis, digits int) (v float64) {
	for m := range digits {
		bit, digit := axis*digits+m, math.Exp2(-float64(m+1))
		if row[bit/8]>>(bit%8)&1 == 0 {
			digit = -digit
		}
		v += digit
	}
	return v
}

// TestPairAnswers: the two rows that are installed answer as the one that was rounded.
func TestPairAnswers(t *testing.T) {
	p := randomPerson(6, 40, 16, 2)
	res := learn(t, p, &Options{Lambdas: []float64{0.2}, Always: true})
	l := &learning{data: newData(p), person: p, options: (*Options)(nil).orDefaults(), lambdas: []float64{0.2}}
	s, err := l.train(context.Background(), fold{train: l.everyone()}, final)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.round(context.Background(), s.x[0])
	if err != nil {
		t.Fatal(err)
	}
	size := len(res.Rows) / len(res.Labels)
	for i := range l.n {
		got := s.offsets(i, s.prior)
		for k, label := range res.Labels {
			for j, v := range l.row(i) {
				got[label] += Scale(res.Scales[k]) * valueOf(res.Rows[k*size:(k+1)*size], j, p.Digits) * v
			}
		}
		for label, b := range res.Bias {
			got[label] += float64(b)
		}
		golden.Near(t, fmt.Sprint("example ", i), logSoftmax(got), s.predict(c, i, s.prior), 1e-6, 0)
	}
}

// TestPairIsTheSameProblem: the one row of two labels is twice the second of two rows.
func TestPairIsTheSameProblem(t *testing.T) {
	p := randomPerson(5, 30, 12, 2)
	one := newData(p)
	two := *one
	two.pair = false
	var solved [2][]float64
	for k, d := range []*data{one, &two} {
		l := &learning{data: d, person: p, options: (*Options)(nil).orDefaults(), lambdas: []float64{0.2}}
		s, err := l.train(context.Background(), fold{train: d.everyone()}, final)
		if err != nil {
			t.Fatal(err)
		}
		solved[k] = append(s.z(s.x[0]), s.x[0][len(s.rows)*s.dim:]...)
	}
	var want []float64
	for _, v := range append(solved[1][12:24], solved[1][25]) {
		want = append(want, 2*v)
	}
	golden.Near(t, "z and b", solved[0], want, 1e-5, 0)
}

// TestNearestLevel: no other level is nearer, and none is zero.
func TestNearestLevel(t *testing.T) {
	for digits := 1; digits <= 8; digits++ {
		l := newLevels(digits)
		for v := -1.3; v < 1.3; v += 0.0037 {
			got := l.nearest(v)
			for unit := range 1 << digits {
				level := float64(2*unit+1)/math.Exp2(float64(digits)) - 1
				if level == 0 || math.Abs(level-v) < math.Abs(got-v)-1e-12 {
					t.Fatalf("%d digits, %g: got %g, want %g", digits, v, got, level)
				}
			}
		}
	}
}

func TestScaleBytes(t *testing.T) {
	for b := 1; b <= 255; b++ {
		if got := byteOf(Scale(byte(b))); got != byte(b) {
			t.Errorf("byte of scale %d: got %d", b, got)
		}
	}
	for s, want := range map[float64]byte{0: 1, -3: 1, 1e-9: 1, 1e9: 255, 1: 160, 2: 176} {
		if got := byteOf(s); got != want {
			t.Errorf("byte of %g: got %d, want %d", s, got, want)
		}
	}
}
