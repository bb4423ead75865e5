package sdk

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
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

func TestState(t *testing.T) {
	g := learner.NewLogits(5, 2)
	for i := range g.Values {
		g.Values[i] = float32(i) / 8
	}
	data := encodeState(g)
	if len(data) != 4*5*2 {
		t.Errorf("got %d bytes, want %d", len(data), 4*5*2)
	}
	back := decodeState(data, 5, 2)
	for i, v := range g.Values {
		if back == nil || back.Values[i] != v {
			t.Fatalf("got %+v, want %+v", back, g)
		}
	}
	bad := append([]byte(nil), data...)
	binary.LittleEndian.PutUint16(bad, 0x7c00) // infinite
	for _, data := range [][]byte{nil, data[1:], append(data, 0, 0), bad} {
		if g := decodeState(data, 5, 2); g != nil {
			t.Errorf("got %+v from a state of %d bytes that does not fit", g, len(data))
		}
	}
}
