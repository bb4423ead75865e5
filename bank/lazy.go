//go:build cgo

package bank

import (
	"sync"

	"github.com/xpeft/xpeft/bitmask"
)

// lazyRows is a random bank's weights in memory, [2,L,N,d·b], of which a row is generated when it is first used: a fold needs k of N, and the first answer should
// not wait for the others. It is safe for concurrent use.
type lazyRows struct {
	props Properties
	data  []float32 // a tensor's
	parts []lazyPart
}

// lazyPart is one side of a block.
type lazyPart struct {
	mu   sync.Mutex // held while rows are generated
	made bitmask.Row
	left int // rows that are not made
}

func newLazyRows(p Properties, data []float32) *lazyRows {
	z := &lazyRows{props: p, data: data, parts: make([]lazyPart, 2*p.Blocks)}
	for i := range z.parts {
		z.parts[i].made, z.parts[i].left = make(bitmask.Row, bitmask.RowBytes(p.N)), p.N
	}
	return z
}

// need generates those of the rows that are not made yet, on as many cores as Go may use. The ids were checked.
func (z *lazyRows) need(side Side, block int, ids []int32) error {
	at := int(side)*z.props.Blocks + block
	part := &z.parts[at]
	part.mu.Lock()
	defer part.mu.Unlock()
	if part.left == 0 {
		return nil
	}
	g, err := z.props.generator(side, block)
	if err != nil {
		return err
	}
	var missing []int32
	for _, id := range ids {
		if !part.made.Get(int(id)) {
			part.made.Set(int(id))
			missing = append(missing, id)
		}
	}
	part.left -= len(missing)
	elems := z.props.Elems()
	inParallel(len(missing), func(i int) {
		row := at*z.props.N + int(missing[i])
		g.fill(uint32(missing[i]), z.data[row*elems:(row+1)*elems])
	})
	return nil
}
