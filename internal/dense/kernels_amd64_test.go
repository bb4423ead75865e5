package dense

import "testing"

// withKernels runs a test with the kernels, if they run here, and without.
func withKernels(t *testing.T, test func(t *testing.T)) {
	avx2, f16c := fast, hasF16C
	t.Cleanup(func() { fast, fastFuncs, hasF16C = avx2, avx2, f16c })
	if fast {
		t.Run(Kernel(), test)
	}
	fast, fastFuncs, hasF16C = false, false, false
	t.Run(Kernel(), test)
}
