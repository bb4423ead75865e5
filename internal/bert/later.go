//go:build cgo

package bert

// Stems writes r = f + a of block from, [tokens,d], of bare blocks below: what no adapter in block from or
// above changes.
func (m *Model) Stems(b Batch, from int, r []float32) { panic("not yet") }

// Upper is the rest of the pass out of r, which it leaves alone: block from's adapter, the blocks above,
// pooling. b.IDs and b.Types are not read.
func (m *Model) Upper(b Batch, from int, r []float32, adapters []Adapter, how Pooling, x []float32) {
	panic("not yet")
}

// Kernel says what computes: "c-avx2", "go-avx2" or "go".
func (m *Model) Kernel() string { return "c-avx2" }
