package dense

import (
	"syscall"
	"testing"
	"unsafe"
)

// atEnd is n values at the end of a page that no other follows: whoever reads or writes beyond
// them, or whole vectors before them, ends the process.
func atEnd[T float32 | uint16](t *testing.T, n int) []T {
	t.Helper()
	page := syscall.Getpagesize()
	var v T
	bytes := n * int(unsafe.Sizeof(v))
	whole := (bytes + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, whole+page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	if err := syscall.Mprotect(m[whole:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&m[whole-bytes])), n)
}

func TestNothingBeyond(t *testing.T) {
	withKernels(t, func(t *testing.T) {
		for _, m := range []int{1, 2, 5, 6, 7, 13} {
			for _, n := range []int{1, 2, 15, 16, 17, 33} {
				for _, k := range []int{1, 3, 385} {
					a, b, c := atEnd[float32](t, m*k), atEnd[float32](t, k*n), atEnd[float32](t, m*n)
					Gemm(m, n, k, a, k, 1, b, n, c, n, true)
					Gemm(m, n, k, a, 1, m, b, n, c, n, false)
					Pack(k, n, b, n, 1).Times(m, a, k, c, n, true)
				}
			}
		}
		for n := 1; n < 70; n++ {
			a, b, h := atEnd[float32](t, n), atEnd[float32](t, n), atEnd[uint16](t, n)
			Dot(a, b)
			Axpy(a, 1, b)
			Mean(a, b, []int32{0, 0, 0, 0, 0})
			MeanHalf(a, h, []int32{0, 0, 0, 0, 0})
			GELU(a)
			GELUTanh(a)
			Softmax(a)
			Norm(a, a, b, b, b, 1)
		}
	})
}
