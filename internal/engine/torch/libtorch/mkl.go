//go:build torch && cgo

package libtorch

// MKL, libtorch's source of matrix products, has kernels for AVX2, and takes them if it believes
// the processor to be Intel's; on others that have AVX2 as well it takes older ones, a fifth
// slower. It asks this function, which a program may define in its place: the linker gives libtorch
// the program's. MKL still looks at what the processor can do before it chooses. On Intel's nothing
// changes.

/*
int mkl_serv_intel_cpu_true(void) { return 1; }
*/
import "C"
