package dense

// Every arm64 has the instructions.
const (
	fast   = true
	kernel = "neon"
)

// tile is rows ≤ 6 by 16 entries of c = a·b, or += with add; k ≥ 1. The processor finds by itself
// what lies ahead.
//
//go:noescape
func tile(rows, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc int, add bool, ahead int)

//go:noescape
func dot(n int, a, b *float32) float32

//go:noescape
func axpy(n int, y *float32, alpha float32, x *float32)
