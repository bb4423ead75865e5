package learner

import (
	"math/rand/v2"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// The paper's encoder is BERT-base; its counts are those of a bottleneck of 48.
const paperL, paperD, paperB = 12, 768, 48

func trained(ps []*param) (n int) {
	for _, p := range ps {
		n += len(p.value)
	}
	return n
}

// TestPaperTable1 reproduces the counts of trained values and of stored bytes in the paper's Table
// 1, from what is really trained and stored.
func TestPaperTable1(t *testing.T) {
	for _, want := range []struct{ n, params, bytes int }{{100, 3_552, 312}, {200, 5_952, 600}, {400, 10_752, 1_200}} {
		b, err := bank.NewRandom(bank.Properties{Origin: bank.Random, N: want.n, Blocks: paperL, Hidden: paperD,
			Bottleneck: paperB, NormB: true, SigmaA: 0.02, SigmaB: 0.02})
		if err != nil {
			t.Fatal(err)
		}
		logits := NewLogits(want.n, paperL)
		src := newMaskSource(b, Paper(), nil, []*Logits{logits}, [][]float32{bank.DefaultAffine(b.Properties())})
		if got := trained(src.params()); got != want.params || got != 2*(want.n+paperB)*paperL {
			t.Errorf("N=%d: got %d trained values, want %d", want.n, got, want.params)
		}
		mask, err := logits.Mask(50)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(mask.Bytes()); got != want.bytes {
			t.Errorf("N=%d: got %d bytes, want %d", want.n, got, want.bytes)
		}
	}
	a := newAdapterSource(paperL, paperD, paperB, 0, rand.New(rand.NewPCG(1, 1)))
	weights := len(a.parts[0].value) + len(a.parts[2].value)
	if weights != 884_736 || 4*weights != 3_538_944 {
		t.Errorf("a single adapter: got %d weights, want 884,736", weights)
	}
}

// TestPaperTable4 counts what each mode trains with its head: the two-layer tanh head on BERT-base,
// two labels.
func TestPaperTable4(t *testing.T) {
	h := &model.Head{Labels: []string{"0", "1"}, Hidden: paperD, W: make([]float32, 2*paperD), B: make([]float32, 2),
		W1: make([]float32, paperD*paperD), B1: make([]float32, paperD), Counts: make([]uint32, 2)}
	head := trained(newOutput(Paper(), &Job{Head: h}).params())
	if want := paperD*paperD + paperD + 2*paperD + 2; head != want || want != 592_130 {
		t.Errorf("head_only: got %d trained values, want %d", head, want)
	}
	adapter := trained(newAdapterSource(paperL, paperD, paperB, 0, rand.New(rand.NewPCG(1, 1))).params())
	if want := paperL * (2*paperD*paperB + paperB + paperD); adapter != want || adapter+head != 1_486_658 {
		t.Errorf("single_adapter: got %d trained values and a head of %d, want %d and 592,130", adapter, head, want)
	}
}
