package bank

// Philox4x32-10: a counter-based generator (Salmon, Moraes, Dror, Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011). It has no state: any
// block of a bank can be made alone, in any order, on any number of cores. It
// uses integer operations only, so that its bits do not depend on the machine.

const (
	philoxM0     = 0xD2511F53
	philoxM1     = 0xCD9E8D57
	philoxW0     = 0x9E3779B9
	philoxW1     = 0xBB67AE85
	philoxRounds = 10
)

// philoxKeys are the ten rounds' keys. They depend on the key alone.
type philoxKeys [philoxRounds][2]uint32

func newPhiloxKeys(k0, k1 uint32) *philoxKeys {
	var keys philoxKeys
	for i := range keys {
		keys[i] = [2]uint32{k0, k1}
		k0 += philoxW0
		k1 += philoxW1
	}
	return &keys
}

// block returns four random words for a counter of four. The rounds are written out:
// that is a third faster than a loop, which Go does not unroll.
func (keys *philoxKeys) block(c0, c1, c2, c3 uint32) (uint32, uint32, uint32, uint32) {
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[0])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[1])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[2])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[3])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[4])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[5])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[6])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[7])
	c0, c1, c2, c3 = philoxRound(c0, c1, c2, c3, &keys[8])
	return philoxRound(c0, c1, c2, c3, &keys[9])
}

func philoxRound(c0, c1, c2, c3 uint32, key *[2]uint32) (uint32, uint32, uint32, uint32) {
	p0, p1 := uint64(c0)*philoxM0, uint64(c2)*philoxM1
	return uint32(p1>>32) ^ c1 ^ key[0], uint32(p1), uint32(p0>>32) ^ c3 ^ key[1], uint32(p0)
}
