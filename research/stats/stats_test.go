package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > 1e-9 {
		t.Errorf("%s: got %g, want %g", what, got, want)
	}
}

func TestClasses(t *testing.T) {
	truth, predicted := []int{0, 0, 0, 1, 1, 2}, []int{0, 0, 1, 1, 2, 2}
	near(t, "accuracy", Accuracy(truth, predicted), 4.0/6)
	near(t, "F1 of 0", F1(truth, predicted, 0), 0.8)                                    // 2 hits, 1 missed
	near(t, "F1 of 1", F1(truth, predicted, 1), 0.5)                                    // 1 hit, 1 wrong, 1 missed
	near(t, "F1 of 2", F1(truth, predicted, 2), 2.0/3)                                  // 1 hit, 1 wrong
	near(t, "macro F1", MacroF1(truth, predicted), (0.8+0.5+2.0/3)/3)                   //
	near(t, "a class that is only predicted", MacroF1([]int{0, 0}, []int{0, 3}), 1.0/3) // F1 2/3 and 0
	near(t, "F1 of none", F1(truth, predicted, 9), 0)
	near(t, "accuracy of none", Accuracy(nil, nil), 0)
	near(t, "macro F1 of none", MacroF1(nil, nil), 0)
}

func TestMCC(t *testing.T) {
	// 6 true positives, 3 true negatives, 1 false positive, 2 false negatives: (6·3 −
	// 1·2)/√(7·8·4·5).
	var truth, predicted []int
	add := func(n, c, p int) {
		for range n {
			truth, predicted = append(truth, c), append(predicted, p)
		}
	}
	add(6, 1, 1)
	add(3, 0, 0)
	add(1, 0, 1)
	add(2, 1, 0)
	near(t, "MCC", MCC(truth, predicted), 16/math.Sqrt(7*8*4*5))
	near(t, "perfect", MCC(truth, truth), 1)
	near(t, "one class predicted", MCC([]int{0, 1}, []int{1, 1}), 0)
	near(t, "none", MCC(nil, nil), 0)
}

func TestCorrelations(t *testing.T) {
	a, b := []float64{1, 2, 3, 4}, []float64{1, 4, 9, 16}
	near(t, "Spearman of a rising curve", Spearman(a, b), 1)
	near(t, "Pearson of a line", Pearson(a, []float64{9, 7, 5, 3}), -1)
	near(t, "Pearson", Pearson([]float64{1, 2, 3}, []float64{1, 3, 2}), 0.5)
	near(t, "constant", Pearson(a, []float64{2, 2, 2, 2}), 0)
	near(t, "ties", Spearman([]float64{1, 1, 2}, []float64{1, 1, 2}), 1)
}

func TestBootstrap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var xs []float64
	for range 400 {
		xs = append(xs, rng.NormFloat64())
	}
	i := Bootstrap(xs, 2000, 1)
	if half := (i.High - i.Low) / 2; math.Abs(half-1.96/20) > 0.015 || i.Low > i.Mean || i.High < i.Mean {
		t.Errorf("got %+v, want ± %.3f", i, 1.96/20)
	}
	if again := Bootstrap(xs, 2000, 1); again != i {
		t.Error("the same seed gave another interval")
	}
	if one := Bootstrap([]float64{3}, 100, 1); one != (Interval{3, 3, 3}) {
		t.Errorf("got %+v of one value", one)
	}
}

func TestPairedPermutation(t *testing.T) {
	a := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	b := make([]float64, len(a))
	for i := range a {
		b[i] = a[i] - 1
	}
	// All 8 differences have one sign: 2 of 256 assignments are as far.
	if p := PairedPermutation(a, b, 20_000, 1); math.Abs(p-2.0/256) > 0.003 {
		t.Errorf("got p=%g, want %g", p, 2.0/256)
	}
	near(t, "equal", PairedPermutation(a, a, 100, 1), 1)
	near(t, "none", PairedPermutation(nil, nil, 100, 1), 1)
}

func TestHolm(t *testing.T) {
	got := Holm([]float64{0.04, 0.01, 0.03, 0.5})
	for i, want := range []float64{0.09, 0.04, 0.09, 0.5} {
		near(t, "Holm", got[i], want)
	}
}

// TestBootstrapWithin: groups count alike whatever their size, and a group of equal values adds
// nothing to the interval.
func TestBootstrapWithin(t *testing.T) {
	flat := []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	got := BootstrapWithin([][]float64{{0, 1}, flat}, 1000, 1)
	if got.Mean != 0.75 || got.Low != 0.5 || got.High != 1 {
		t.Errorf("got %+v, want 0.75 from 0.5 to 1", got)
	}
	if got := BootstrapWithin([][]float64{flat, flat}, 100, 1); got.High-got.Low > 1e-9 {
		t.Errorf("of equal values: got %+v", got)
	}
}
