// Package philox is Philox4x32-10, a counter-based generator of random words (Salmon, Moraes, Dror,
// Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). It has no state: any word can be
// made alone, in any order, on any number of cores. It uses integer operations only, so that its
// bits do not depend on the machine.
package philox

const (
	m0     = 0xD2511F53
	m1     = 0xCD9E8D57
	w0     = 0x9E3779B9
	w1     = 0xBB67AE85
	rounds = 10
)

// Keys are the ten rounds' keys.
type Keys [rounds][2]uint32

// New makes the keys of a seed.
func New(seed uint64) *Keys {
	var keys Keys
	k0, k1 := uint32(seed), uint32(seed>>32)
	for i := range keys {
		keys[i] = [2]uint32{k0, k1}
		k0 += w0
		k1 += w1
	}
	return &keys
}

// Block returns four random words for a counter of four. The rounds are written out:
// that is a third faster than a loop, which Go does not unroll.
func (keys *Keys) Block(c0, c1, c2, c3 uint32) (uint32, uint32, uint32, uint32) {
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[0])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[1])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[2])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[3])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[4])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[5])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[6])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[7])
	c0, c1, c2, c3 = round(c0, c1, c2, c3, &keys[8])
	return round(c0, c1, c2, c3, &keys[9])
}

func round(c0, c1, c2, c3 uint32, key *[2]uint32) (uint32, uint32, uint32, uint32) {
	p0, p1 := uint64(c0)*m0, uint64(c2)*m1
	return uint32(p1>>32) ^ c1 ^ key[0], uint32(p1), uint32(p0>>32) ^ c3 ^ key[1], uint32(p0)
}
