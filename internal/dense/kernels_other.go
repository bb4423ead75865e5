//go:build !amd64 && !arm64

package dense

const (
	fast   = false
	kernel = "go"
)

func tile(rows, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc int, add bool, ahead int) {
	panic("dense: no kernels")
}

func dot(n int, a, b *float32) float32 { panic("dense: no kernels") }

func axpy(n int, y *float32, alpha float32, x *float32) { panic("dense: no kernels") }
