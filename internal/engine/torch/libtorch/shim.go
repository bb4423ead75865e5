//go:build torch && cgo

package libtorch

// The first four symbols below are in libtch's library but not in its Go API. They are weak because
// cgo links this package once on its own, without libtch, to learn its imports; Open checks that
// the final program has them.

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>

extern void at_set_num_threads(int) __attribute__((weak));
extern int at_get_num_threads(void) __attribute__((weak));
extern void *at_tensor_of_blob(void *data, int64_t *dims, size_t ndims, int64_t *strides, size_t nstrides,
                               int type, int device) __attribute__((weak));
extern void atg_gelu(void **out, void *self, const char *approximate, int len) __attribute__((weak));
extern int malloc_trim(size_t pad) __attribute__((weak)); // glibc's alone

static int have_symbols(void) { return at_set_num_threads && at_get_num_threads && at_tensor_of_blob && atg_gelu; }
// A thread's first operator takes the number that any thread of the process set last, whatever the
// thread itself had set before.
// at_get_num_threads counts as that first operator: what is set after it stays.
static int get_num_threads(void) { return at_get_num_threads(); }
static void set_num_threads(int n) { at_get_num_threads(); at_set_num_threads(n); }
static void *tensor_of_blob(void *data, int64_t *dims, size_t nd, int64_t *strides, int type) {
	return at_tensor_of_blob(data, dims, nd, strides, nd, type, -1);
}
// A Go string argument would leak a C copy in every call of libtch's Gelu.
static void gelu(void **out, void *self, int tanh) {
	if (tanh) atg_gelu(out, self, "tanh", 4); else atg_gelu(out, self, "none", 4);
}
static void trim(void) { if (malloc_trim) malloc_trim(0); }
*/
import "C"

import (
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

func haveSymbols() bool { return C.have_symbols() != 0 }

// setNumThreads is for the calling OS thread alone, and so is what numThreads returns.
func setNumThreads(n int) { C.set_num_threads(C.int(n)) }

func numThreads() int { return int(C.get_num_threads()) }

func gelu(out *libtch.Ctensor, self libtch.Ctensor, tanh bool) {
	t := C.int(0)
	if tanh {
		t = 1
	}
	C.gelu((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self), t)
}

// TrimMemory gives the memory that freed tensors took, and that the C library keeps for the next
// ones, back to the system. A training leaves most of what it took behind otherwise, in an arena of
// each thread that ran a part of it. It takes 1 to 5 ms; where the C library is not glibc it does
// nothing.
func TrimMemory() { C.trim() }

func tensorOfBlob(data unsafe.Pointer, shape, strides []int64, kind DType) libtch.Ctensor {
	p := C.tensor_of_blob(data, (*C.int64_t)(&dims(shape)[0]), C.size_t(len(shape)), (*C.int64_t)(&dims(strides)[0]),
		C.int(kind))
	return libtch.Ctensor(p)
}

// lastError takes this OS thread's pending exception, "" if there is none.
func lastError() string {
	p := unsafe.Pointer(libtch.GetAndResetLastErr())
	if p == nil {
		return ""
	}
	defer C.free(p)
	return C.GoString((*C.char)(p))
}
