package quant

import (
	"errors"
	"math"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, values := range [][]float32{{}, {0, 0}, {1, -1, 0.25}, {3e-45, -1e-44, 2e-44}, {1e30, -5}} {
		data, err := Append([]byte("x"), values)
		if err != nil || len(data) != 1+Size(len(values)) || data[0] != 'x' {
			t.Fatalf("%v: got %d bytes, %v", values, len(data), err)
		}
		got := make([]float32, len(values))
		if err := Decode(got, data[1:]); err != nil {
			t.Fatal(err)
		}
		top := float32(0)
		for _, v := range values {
			top = max(top, float32(math.Abs(float64(v))))
		}
		for i, v := range values {
			if math.Signbit(float64(got[i])) != math.Signbit(float64(v)) && got[i] != 0 {
				t.Errorf("%v: got %v, with another sign", values, got)
			}
			if d := math.Abs(float64(got[i] - v)); top > 1e-36 && d > float64(top)/254*1.0001 {
				t.Errorf("%v: got %v, want within half a step", values, got)
			}
		}
	}
}

func TestOutOfRange(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.MaxFloat32} {
		if _, err := Append(nil, []float32{1, float32(v)}); !errors.Is(err, ErrRange) {
			t.Errorf("%g: got %v, want ErrRange", v, err)
		}
	}
	for _, data := range [][]byte{nil, make([]byte, Size(2)-1), make([]byte, Size(2)+1), {0, 0, 0x80, 0x7f, 1, 1},
		{0, 0, 0x80, 0xbf, 1, 1}} {
		if err := Decode(make([]float32, 2), data); !errors.Is(err, ErrRange) {
			t.Errorf("%x: got %v, want ErrRange", data, err)
		}
	}
}
