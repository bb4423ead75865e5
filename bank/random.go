package bank

import "github.com/xpeft/xpeft/internal/philox"

// Generate fills dst with one adapter's half of a random bank in one block. dst
// has Elems() entries, row-major as they are applied: Down is d×b, Up is b×d.
// The bits are the same on every machine and with every Go version.
func (p Properties) Generate(side Side, block, adapter int, dst []float32) error {
	if p.Origin != Random {
		return invalidf("a %v bank is not generated", p.Origin)
	}
	if err := p.Validate(); err != nil {
		return err
	}
	if err := p.checkRow(side, block, adapter); err != nil {
		return err
	}
	if len(dst) != p.Elems() {
		return invalidf("destination of %d entries, want %d", len(dst), p.Elems())
	}
	p.generator(side, block).fill(uint32(adapter), dst)
	return nil
}

// generator makes the entries of one (side, block).
type generator struct {
	keys        *philox.Keys
	block, side uint32
	scale       float32
}

// generator is of properties that were checked, as side and block were.
func (p Properties) generator(side Side, block int) *generator {
	sigma := p.SigmaA
	if side == Up {
		sigma = p.SigmaB
	}
	return &generator{
		keys:  philox.New(p.Seed),
		block: uint32(block), side: uint32(side), scale: entryScale(sigma),
	}
}

// entryScale returns float32(σ·√3)·2⁻²³: an entry is the product of it and a
// signed 24-bit number. The power of two is exact, so that an entry is
// float32(σ·√3)·u, u in [−1, 1), rounded once.
func entryScale(sigma float32) float32 {
	const sqrt3 = 1.7320508075688772
	return float32(float64(sigma)*sqrt3) * float32(0x1p-23)
}

// fill makes one adapter's entries. Counter: (entry/4, adapter, block, side);
// word i of it is entry 4·c+i; its upper 24 bits are the number.
func (g *generator) fill(adapter uint32, dst []float32) {
	var counter uint32
	for ; len(dst) >= 4; dst = dst[4:] {
		w0, w1, w2, w3 := g.keys.Block(counter, adapter, g.block, g.side)
		dst[0] = g.entry(w0)
		dst[1] = g.entry(w1)
		dst[2] = g.entry(w2)
		dst[3] = g.entry(w3)
		counter++
	}
	if len(dst) > 0 {
		w0, w1, w2, w3 := g.keys.Block(counter, adapter, g.block, g.side)
		words := [4]uint32{w0, w1, w2, w3}
		for i := range dst {
			dst[i] = g.entry(words[i])
		}
	}
}

// entry is a product alone, converted explicitly, so that no compiler may fuse it
// with what the caller does.
func (g *generator) entry(w uint32) float32 {
	return float32(g.scale * float32(int32(w)>>8))
}
