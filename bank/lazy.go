package bank

import (
	"runtime"
	"sync"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/numeric"
)

// lazyRows is a random bank's weights, of which a row is generated when it is first used: a fold
// needs k of N, and the first answer should not wait for the others. It is safe for concurrent use.
type lazyRows struct {
	props Properties
	parts []lazyPart // [2,L]
}

// lazyPart is one side of a block.
type lazyPart struct {
	mu   sync.Mutex // held while rows are generated
	data []float32  // [N,d·b]; nil before the first use
	made bitmask.Row
	left int // rows that are not made
}

func newLazyRows(p Properties) *lazyRows {
	z := &lazyRows{props: p, parts: make([]lazyPart, 2*p.Blocks)}
	for i := range z.parts {
		z.parts[i].made, z.parts[i].left = make(bitmask.Row, bitmask.RowBytes(p.N)), p.N
	}
	return z
}

// need generates those of the rows that are not made yet, on as many cores as Go may use. It
// returns all rows, [N,d·b]. The ids were checked.
func (z *lazyRows) need(side Side, block int, ids []int32) []float32 {
	part := &z.parts[int(side)*z.props.Blocks+block]
	part.mu.Lock()
	defer part.mu.Unlock()
	if part.left == 0 {
		return part.data
	}
	g, elems := z.props.generator(side, block), z.props.Elems()
	if part.data == nil {
		part.data = make([]float32, z.props.N*elems)
	}
	var missing []int32
	for _, id := range ids {
		if !part.made.Get(int(id)) {
			part.made.Set(int(id))
			missing = append(missing, id)
		}
	}
	part.left -= len(missing)
	numeric.Parallel(runtime.GOMAXPROCS(0), len(missing), 1, func(_, i, _ int) {
		row := int(missing[i])
		g.fill(uint32(row), part.data[row*elems:(row+1)*elems])
	})
	return part.data
}
