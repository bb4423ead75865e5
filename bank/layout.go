package bank

// alignment of every region in a bank file, which is that of a cache line and of
// the widest vector registers.
const alignment = 64

// region is a run of bytes of a bank file.
type region struct{ off, len int64 }

func (r region) end() int64 { return r.off + r.len }

// of returns the region's bytes, with no room to grow into the next.
func (r region) of(data []byte) []byte { return data[r.off:r.end():r.end()] }

// layout says where everything is in a bank file. It is a function of the
// properties; sizes are within int64 because Validate bounds them.
type layout struct {
	p      Properties
	header int64 // length of header and region table
	affine region
	checks region // CRC-32C of every row: [L][2][N]
	blocks int64  // offset of block 0
	block  int64  // bytes of a block
	size   int64  // of the file
}

func newLayout(p Properties) layout {
	l := layout{p: p, header: headerSize + 16*int64(regionCount(p))}
	l.affine = region{align(l.header), 4 * int64(p.AffineElems())}
	l.checks = region{align(l.affine.end()), 4 * 2 * int64(p.Blocks) * int64(p.N)}
	l.blocks = align(l.checks.end())
	for _, side := range []Side{Down, Up} {
		l.block += align(l.weightBytes()*int64(p.N)) + align(l.biasBytes(side)*int64(p.N))
	}
	l.size = l.blocks + int64(p.Blocks)*l.block
	return l
}

// regionCount is the number of entries in the region table.
func regionCount(p Properties) int {
	perBlock := 2
	if p.Bias {
		perBlock = 4
	}
	return 2 + perBlock*p.Blocks
}

func align(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

func (l layout) weightBytes() int64 {
	return int64(l.p.Hidden) * int64(l.p.Bottleneck) * int64(l.p.DType.size())
}

func (l layout) biasBytes(side Side) int64 {
	return int64(l.p.BiasElems(side)) * int64(l.p.DType.size())
}

// weights returns the region of all adapters' weights: Down first in its block,
// then Up, then their biases.
func (l layout) weights(side Side, block int) region {
	n := l.weightBytes() * int64(l.p.N)
	return region{l.blocks + int64(block)*l.block + int64(side)*align(n), n}
}

// biases returns the region of all adapters' biases, empty where there are none.
func (l layout) biases(side Side, block int) region {
	off := align(l.weights(Up, block).end())
	if side == Up {
		off += align(l.biasBytes(Down) * int64(l.p.N))
	}
	return region{off, l.biasBytes(side) * int64(l.p.N)}
}

// row returns one adapter's weights and biases.
func (l layout) row(side Side, block, adapter int) (weights, biases region) {
	w, b := l.weightBytes(), l.biasBytes(side)
	return region{l.weights(side, block).off + int64(adapter)*w, w},
		region{l.biases(side, block).off + int64(adapter)*b, b}
}

// index numbers the rows in the order of the file and of the digest.
func (l *layout) index(side Side, block, adapter int) int {
	return (2*block+int(side))*l.p.N + adapter
}

// regions lists all regions in the order of the table, which is that of their
// offsets.
func (l layout) regions() []region {
	all := make([]region, 0, regionCount(l.p))
	all = append(all, l.affine, l.checks)
	for block := range l.p.Blocks {
		all = append(all, l.weights(Down, block), l.weights(Up, block))
		if l.p.Bias {
			all = append(all, l.biases(Down, block), l.biases(Up, block))
		}
	}
	return all
}
