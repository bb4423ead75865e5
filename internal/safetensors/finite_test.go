package safetensors

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestNotFinite puts each kind of bad value at each place of files around the 32 bytes that are
// looked at together. All else is the largest finite value, whose exponent is one below that of
// Inf.
func TestNotFinite(t *testing.T) {
	cases := []struct {
		dtype  string
		size   int
		finite uint64
		bad    []uint64 // Inf, -Inf, and NaNs of the lowest and highest bits
	}{
		{"F64", 8, 0x7fefffff_ffffffff,
			[]uint64{0x7ff00000_00000000, 0xfff00000_00000000, 0x7ff00000_00000001, 0xffffffff_ffffffff}},
		{"F32", 4, 0xff7fffff, []uint64{0x7f800000, 0xff800000, 0x7f800001, 0xffffffff}},
		{"F16", 2, 0xfbff, []uint64{0x7c00, 0xfc00, 0x7c01, 0xffff}},
		{"BF16", 2, 0xff7f, []uint64{0x7f80, 0xff80, 0x7f81, 0xffff}},
	}
	for _, c := range cases {
		for n := range 130 / c.size {
			b := bytes.Repeat(binary.LittleEndian.AppendUint64(nil, c.finite)[:c.size], n)
			if got := NotFinite(b, c.dtype); got != -1 {
				t.Errorf("%s, %d finite values: got %d, want -1", c.dtype, n, got)
			}
			for at := range n {
				for _, bad := range c.bad {
					harmed := bytes.Clone(b)
					copy(harmed[at*c.size:], binary.LittleEndian.AppendUint64(nil, bad)[:c.size])
					if got := NotFinite(harmed, c.dtype); got != at {
						t.Errorf("%s, %x as value %d of %d: got %d", c.dtype, bad, at, n, got)
					}
				}
			}
		}
	}
	if got := NotFinite(bytes.Repeat([]byte{0xff}, 64), "I32"); got != -1 {
		t.Errorf("integers: got %d, want -1", got)
	}
}

func BenchmarkNotFinite(b *testing.B) {
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if NotFinite(data, "F32") >= 0 {
			b.Fatal("got a value that is not finite")
		}
	}
}
