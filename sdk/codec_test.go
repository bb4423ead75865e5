package sdk

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

func encodedBias(t *testing.T, bias []float32) []byte {
	t.Helper()
	data, err := encodeBias(bias)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBias(t *testing.T) {
	h := &model.Head{Labels: []string{"a", "b", "c"}}
	for _, bias := range [][]float32{{0, 0, 0}, {1, -1, 0.5}, {-2.54, 0.01, 0.02}, {1e-38, 0, -1e-38}} {
		got, err := decodeBias(encodedBias(t, bias), h)
		if err != nil {
			t.Fatal(err)
		}
		top := math.Max(math.Abs(float64(bias[0])), math.Abs(float64(bias[1])))
		for i := range bias {
			if d := math.Abs(float64(got[i] - bias[i])); !(d <= top/254*1.0001) {
				t.Errorf("got %v, want %v within half a step", got, bias)
			}
		}
	}
	if got, err := decodeBias(encodedBias(t, nil), h); got != nil || err != nil {
		t.Errorf("got %v and %v for no bias", got, err)
	}
	_, err := encodeBias([]float32{0, float32(math.NaN()), 0})
	wantError(t, "a bias of NaN", err, errDiverged)
	good := encodedBias(t, []float32{1, 2, 3})
	for n := range good {
		_, err := decodeBias(good[:n], h)
		wantError(t, "a bias cut short", err, ErrCorrupt)
	}
	_, err = decodeBias(append(good, 0), h)
	wantError(t, "a bias with a tail", err, ErrCorrupt)
	for _, step := range []float64{math.NaN(), math.Inf(1), -1, 1e38} {
		binary.LittleEndian.PutUint32(good, math.Float32bits(float32(step)))
		_, err := decodeBias(good, h)
		wantError(t, "a bias with a bad step", err, ErrCorrupt)
	}
}

// TestAnswers: what is kept of answers comes back, of labels within a hundredth and of numbers
// within a part in 128, and nothing of a state that is cut off or of an earlier version's logits.
func TestAnswers(t *testing.T) {
	l := &learning{since: 300, head: &model.Head{Labels: []string{"a", "b"}}}
	answers := []digits.Answer{{Known: true, Right: true, Loss: 0.02}, {Known: true, Loss: digits.UnknownLoss}, {},
		{Known: true, Loss: 3}}
	for i := range answers {
		l.merged = append(l.merged, store.Example{Key: uint64(i) * 77, Label: "a"})
	}
	check := func(name string, state []byte, numbers bool, near float64) {
		t.Helper()
		since, kept := decodeAnswers(state, numbers)
		if len(kept) != 3 || since != 300 {
			t.Errorf("%s: got %d answers from %d on, want 3 from 300 on", name, len(kept), since)
		}
		for i, want := range answers {
			got, ok := kept[l.answerKey(i)]
			if ok != want.Known || got.Known != want.Known || got.Right != want.Right ||
				math.Abs(got.Loss-want.Loss) > near*want.Loss {
				t.Errorf("%s: answer %d: got %+v, want %+v", name, i, got, want)
			}
		}
	}
	check("labels", l.encodeAnswers(answers), false, 0.01)
	l.head = &model.Head{}
	answers[0].Right, answers[1].Loss = false, 1e30
	check("numbers", l.encodeAnswers(answers), true, 1.0/128)
	for _, state := range [][]byte{nil, {0x80}, {0, 1, 2, 3, 4, 5}} {
		if _, kept := decodeAnswers(state, false); len(kept) != 0 {
			t.Errorf("got %v from the state %x", kept, state)
		}
	}
}
