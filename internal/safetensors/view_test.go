package safetensors

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// TestView: floats are read in place where they are aligned, and there alone.
func TestView(t *testing.T) {
	want := []float32{1, -2, 0.5, math.MaxFloat32}
	room := make([]byte, 1<<20) // so large a one is aligned
	for at := range 8 {
		b := room[at:at]
		for _, v := range want {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		got, ok := View[float32](b)
		if here := little && at%4 == 0; ok != here || ok && !slices.Equal(got, want) {
			t.Errorf("at %d: got %v, %t, want %t", at, got, ok, here)
		}
		halves, ok := View[uint16](b)
		if here := little && at%2 == 0; ok != here || ok && (len(halves) != 8 || halves[1] != 0x3f80) {
			t.Errorf("halves at %d: got %x, %t, want %t", at, halves, ok, here)
		}
		floats, err := Floats(Tensor{"x", "F32", []int64{4}, b})
		if err != nil || !slices.Equal(floats, want) {
			t.Errorf("at %d: got %v, %v, want %v", at, floats, err, want)
		}
		b[3] = 0xff // of the first float
		if inPlace := floats[0] != want[0]; inPlace != (little && at%4 == 0) {
			t.Errorf("at %d: got a view %t", at, inPlace)
		}
	}
	if got, ok := View[float32](nil); !ok && little || len(got) != 0 {
		t.Errorf("nothing: got %v, %t", got, ok)
	}
	if got, err := Floats(Tensor{"x", "F16", []int64{2}, []byte{0x00, 0x3c, 0x00, 0xc0}}); err != nil ||
		!slices.Equal(got, want[:2]) {
		t.Errorf("F16: got %v, %v, want %v", got, err, want[:2])
	}
	if _, err := Floats(Tensor{"x", "I64", []int64{1}, make([]byte, 8)}); !errors.Is(err, ErrDType) {
		t.Errorf("I64: got %v, want ErrDType", err)
	}
}
