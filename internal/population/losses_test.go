package population

import (
	"math"
	"slices"
	"testing"
)

// TestTextLuck: where all are asked about the same texts, the error is that over the texts, however
// alike the people are.
func TestTextLuck(t *testing.T) {
	const people, texts = 30, 16
	newLosses := func() *losses {
		return &losses{texts: make([]float64, texts), weight: make([]float64, texts)}
	}
	one, other := newLosses(), newLosses()
	test := Answers{Text: numbers(texts), Class: make([]int32, texts)}
	for range people {
		loss, none := make([]float64, texts), make([]float64, texts)
		for i := range loss {
			none[i] = 1 + float64(i%2) // the texts' gains are 0 and 1
			loss[i] = 1
		}
		for range 2 {
			one.add(test, loss, 2)
			other.add(test, none, 2)
		}
		one.people, other.people = append(one.people, 1), append(other.people, 1.5)
	}
	gain, se := one.less(other)
	if want := math.Sqrt(0.25 / (texts - 1)); math.Abs(gain-0.5) > 1e-12 || math.Abs(se-want) > 1e-12 {
		t.Errorf("got %g ± %g, want 0.5 ± %g", gain, se, want)
	}
	one.weight = nil
	if _, se = one.less(other); se > 1e-12 {
		t.Errorf("over people: got %g, want 0", se)
	}
}

func TestAverage(t *testing.T) {
	if got := average([]float64{1, 2, 3, 6}, []int{4, 0, 2, 4}, 5); !slices.Equal(got, []float64{3.5, 2, 3}) {
		t.Errorf("got %v", got)
	}
}

// TestPlantedNewTexts: axes that φ tells of are found for new texts, and none where what people
// differ in is a matter of each text. Long form: ten of each.
func TestPlantedNewTexts(t *testing.T) {
	draws, right := 10, 9
	if testing.Short() {
		draws, right = 1, 1
	}
	for _, told := range []bool{true, false} {
		found := 0
		for seed := range draws {
			d := 6
			if !told {
				d = 40
			}
			p := plant(uint64(seed), 60, 50, 80, d, 2, 1)
			for i := range p.Phi {
				if !told {
					p.Phi[i] = float32(p.rng.NormFloat64() / math.Sqrt(float64(d)))
				}
			}
			_, r := train(t, &p.Population, &Options{NewTexts: true})
			if r.Rank > 0 == told {
				found++
			} else {
				t.Logf("told %v, draw %d: got rank %d, gain %g ± %g", told, seed, r.Rank, r.Gain, r.SE)
			}
		}
		t.Logf("told %v: right in %d of %d", told, found, draws)
		if found < right {
			t.Errorf("told %v: right in %d of %d, want %d", told, found, draws, right)
		}
	}
}
