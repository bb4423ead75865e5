package safetensors

import (
	"encoding/binary"
	"unsafe"
)

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
