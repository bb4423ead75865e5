package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/xpeft/xpeft/internal/half"
)

// Tensor is a named array. Data is a view into its File: little-endian, row-major, not necessarily
// aligned.
type Tensor struct {
	Name  string
	DType string // F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL
	Shape []int64
	Data  []byte
}

// elemSize returns the bytes of one element, 0 for an unknown dtype.
func elemSize(dtype string) int64 {
	switch dtype {
	case "F64", "I64", "U64":
		return 8
	case "F32", "I32", "U32":
		return 4
	case "F16", "BF16", "I16", "U16":
		return 2
	case "I8", "U8", "BOOL":
		return 1
	}
	return 0
}

// byteSize returns the bytes that a shape takes, or what is wrong with it.
func byteSize(dtype string, shape []int64) (int64, error) {
	size := elemSize(dtype)
	if size == 0 {
		return 0, fmt.Errorf("unknown dtype %q", dtype)
	}
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", shape)
		}
		if n != 0 && size > math.MaxInt64/n {
			return 0, fmt.Errorf("shape %v overflows", shape)
		}
		size *= n
	}
	return size, nil
}

// F32 is a tensor of floats.
func F32(name string, x []float32, shape ...int64) Tensor {
	data, _ := binary.Append(nil, binary.LittleEndian, x) // float32s always encode
	return Tensor{Name: name, DType: "F32", Shape: shape, Data: data}
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	size := elemSize(t.DType)
	if size == 0 {
		return 0
	}
	return len(t.Data) / int(size)
}

// Float32s copies an F32, F16 or BF16 tensor into float32s. Widening is exact.
func Float32s(t Tensor) ([]float32, error) {
	out := make([]float32, t.Len())
	le := binary.LittleEndian
	switch t.DType {
	case "F32":
		binary.Decode(t.Data, le, out) // which has that many
	case "BF16":
		for i := range out {
			out[i] = math.Float32frombits(uint32(le.Uint16(t.Data[2*i:])) << 16)
		}
	case "F16":
		for i := range out {
			out[i] = half.To(le.Uint16(t.Data[2*i:]))
		}
	default:
		return nil, fmt.Errorf("%w: tensor %q: got %s, want F32, F16 or BF16", ErrDType, t.Name, t.DType)
	}
	return out, nil
}

// Int64s copies an I64, I32 or U8 tensor into int64s.
func Int64s(t Tensor) ([]int64, error) {
	out := make([]int64, t.Len())
	le := binary.LittleEndian
	switch t.DType {
	case "I64":
		for i := range out {
			out[i] = int64(le.Uint64(t.Data[8*i:]))
		}
	case "I32":
		for i := range out {
			out[i] = int64(int32(le.Uint32(t.Data[4*i:])))
		}
	case "U8":
		for i := range out {
			out[i] = int64(t.Data[i])
		}
	default:
		return nil, fmt.Errorf("%w: tensor %q: got %s, want I64, I32 or U8", ErrDType, t.Name, t.DType)
	}
	return out, nil
}

// little says whether this machine's numbers lie as the file's.
var little = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// View is little-endian floats, or halves, in place. It is false where they cannot be read there:
// on a big-endian machine, and at an address that is not a multiple of their size.
func View[T float32 | uint16](b []byte) ([]T, bool) {
	var v T
	size := int(unsafe.Sizeof(v))
	p := unsafe.Pointer(unsafe.SliceData(b))
	if !little || uintptr(p)%uintptr(size) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(p), len(b)/size), true
}

// Floats is Float32s without a copy where that is possible: F32 where View can. What it returns is
// then valid as long as the file is open, and must not be changed.
func Floats(t Tensor) ([]float32, error) {
	if t.DType == "F32" {
		if v, ok := View[float32](t.Data); ok {
			return v, nil
		}
	}
	return Float32s(t)
}
