//go:build torch && cgo

package libtorch

import (
	"fmt"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Tensor is a handle of libtorch. The zero value is no tensor: an optional argument that was left
// out. Where an operator needs a tensor, none, like one that was freed, ends the process: libtorch
// follows the pointer.
type Tensor struct {
	c  libtch.Ctensor
	id uint64 // tells it from a later tensor at the same address, once it is freed
}

// Defined says whether t is a tensor.
func (t Tensor) Defined() bool { return t.c != nil && libtch.AtDefined(t.c) }

// DType is a tensor's element type, numbered as in libtorch.
type DType int32

const (
	Int8     DType = 1
	Int64    DType = 4
	Float16  DType = 5
	Float32  DType = 6
	BFloat16 DType = 15
)

// Size is the bytes of one element.
func (d DType) Size() int64 {
	switch d {
	case Int8:
		return 1
	case Float16, BFloat16:
		return 2
	case Float32:
		return 4
	}
	return 8
}

// Shape is the size of each dimension.
func (s *Scope) Shape(t Tensor) []int64 {
	n := libtch.AtDim(t.c)
	s.check("shape") // n is nonsense then
	if n == 0 {
		return nil
	}
	shape := make([]int64, n)
	libtch.AtShape(t.c, unsafe.Pointer(&shape[0]))
	return shape
}

// Numel is the number of elements.
func (s *Scope) Numel(t Tensor) int64 { return product(s.Shape(t)) }

func product(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// Float32s copies data into a new tensor on the engine's device.
func (s *Scope) Float32s(data []float32, shape ...int64) Tensor {
	return s.fromData(unsafe.Pointer(unsafe.SliceData(data)), int64(len(data)), Float32, shape)
}

// Int64s copies data into a new tensor on the engine's device.
func (s *Scope) Int64s(data []int64, shape ...int64) Tensor {
	return s.fromData(unsafe.Pointer(unsafe.SliceData(data)), int64(len(data)), Int64, shape)
}

func (s *Scope) fromData(data unsafe.Pointer, n int64, kind DType, shape []int64) Tensor {
	if product(shape) != n {
		panic(&Error{Op: "new tensor", Msg: fmt.Sprintf("%d values do not fill %v", n, shape)})
	}
	t := s.empty(kind, codeCPU, shape)
	if n > 0 {
		size := n * kind.Size()
		copy(unsafe.Slice((*byte)(libtch.AtDataPtr(t.c)), size), unsafe.Slice((*byte)(data), size))
	}
	return s.toDevice(t)
}

// toDevice moves a tensor that was made on the CPU to the engine's device.
func (s *Scope) toDevice(t Tensor) Tensor {
	if s.engine.device == codeCPU {
		return t
	}
	libtch.AtgTo(s.out(), t.c, s.engine.device)
	moved := s.made("to device")
	s.Free(t)
	return moved
}

func (s *Scope) empty(kind DType, device int32, shape []int64) Tensor {
	libtch.AtgEmpty(s.out(), dims(shape), len(shape), int32(kind), device)
	return s.made("empty")
}

// dims gives C an address even for a scalar's empty shape.
func dims(shape []int64) []int64 {
	if len(shape) == 0 {
		return []int64{0}
	}
	return shape
}

// Map makes a tensor over memory that the caller owns, row-major. On a CPU nothing is copied, and
// the memory must outlive the tensor and stay as it is; on another device it is copied there.
func (s *Scope) Map(data []byte, kind DType, shape ...int64) Tensor {
	if product(shape)*kind.Size() != int64(len(data)) || len(data) == 0 {
		panic(&Error{Op: "map", Msg: fmt.Sprintf("%d bytes do not fill %v", len(data), shape)})
	}
	strides := make([]int64, len(shape))
	for i, n := len(shape)-1, int64(1); i >= 0; i-- {
		strides[i] = n
		n *= shape[i]
	}
	t := s.own("map", tensorOfBlob(unsafe.Pointer(&data[0]), shape, strides, kind))
	return s.toDevice(t)
}

// FillFloat32s makes a tensor on the engine's device that fill writes, without a second copy on a
// CPU.
func (s *Scope) FillFloat32s(fill func([]float32), shape ...int64) Tensor {
	t := s.empty(Float32, codeCPU, shape)
	if n := product(shape); n > 0 {
		fill(unsafe.Slice((*float32)(libtch.AtDataPtr(t.c)), n))
	}
	return s.toDevice(t)
}

// ReadFloat32s copies t, of float32s on any device, into dst; the lengths must agree.
func (s *Scope) ReadFloat32s(t Tensor, dst []float32) error {
	if n := s.Numel(t); n != int64(len(dst)) {
		return &Error{Op: "read", Msg: fmt.Sprintf("%d values into %d", n, len(dst))}
	}
	if len(dst) == 0 {
		return nil
	}
	libtch.AtCopyData(t.c, unsafe.Pointer(&dst[0]), uint(len(dst)), 4)
	if msg := lastError(); msg != "" {
		return &Error{Op: "read", Msg: firstLine(msg)}
	}
	return nil
}

// Values is ReadFloat32s into a new slice.
func (s *Scope) Values(t Tensor) []float32 {
	dst := make([]float32, s.Numel(t))
	if err := s.ReadFloat32s(t, dst); err != nil {
		panic(err)
	}
	return dst
}
