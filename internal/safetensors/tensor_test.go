package safetensors

import (
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFloat32s(t *testing.T) {
	want := []float32{1, -2, 0.5}
	le := binary.LittleEndian
	var f32, bf16 []byte
	for _, v := range want {
		bits := math.Float32bits(v)
		f32 = le.AppendUint32(f32, bits)
		bf16 = le.AppendUint16(bf16, uint16(bits>>16))
	}
	f16 := []byte{0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38}
	for dtype, data := range map[string][]byte{"F32": f32, "BF16": bf16, "F16": f16} {
		got, err := Float32s(Tensor{"x", dtype, []int64{3}, data})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dtype, diff)
		}
	}
	if _, err := Float32s(Tensor{"x", "I64", []int64{1}, make([]byte, 8)}); !errors.Is(err, ErrDType) {
		t.Errorf("I64: got %v, want ErrDType", err)
	}
}

func TestInt64s(t *testing.T) {
	for dtype, data := range map[string][]byte{
		"I64": {5, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255},
		"I32": {5, 0, 0, 0, 255, 255, 255, 255},
	} {
		got, err := Int64s(Tensor{"x", dtype, []int64{2}, data})
		if diff := cmp.Diff([]int64{5, -1}, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", dtype, err, diff)
		}
	}
	if got, err := Int64s(Tensor{"x", "U8", []int64{1}, []byte{255}}); err != nil || got[0] != 255 {
		t.Errorf("U8: got %v, %v, want 255", got, err)
	}
	if _, err := Int64s(Tensor{"x", "F32", []int64{1}, make([]byte, 4)}); !errors.Is(err, ErrDType) {
		t.Errorf("F32: got %v, want ErrDType", err)
	}
}

// TestGoldenFiles reads files that the Python library wrote.
func TestGoldenFiles(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "golden")
	for name, want := range map[string]int{"forward.safetensors": 4, "xpeft.safetensors": 33, "noisy.safetensors": 18} {
		f, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(f.Tensors()); got != want {
			t.Errorf("%s: got %d tensors, want %d", name, got, want)
		}
		for _, x := range f.Tensors() {
			var err error
			if x.DType == "I64" {
				_, err = Int64s(x)
			} else {
				_, err = Float32s(x)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
