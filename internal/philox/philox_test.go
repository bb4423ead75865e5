package philox

import "testing"

func TestKnownAnswers(t *testing.T) {
	// From the kat_vectors file of the authors' library, Random123.
	tests := []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	}
	for _, tt := range tests {
		var got [4]uint32
		keys := New(uint64(tt.key[1])<<32 | uint64(tt.key[0]))
		got[0], got[1], got[2], got[3] = keys.Block(tt.ctr[0], tt.ctr[1], tt.ctr[2], tt.ctr[3])
		if got != tt.want {
			t.Errorf("counter %08x, key %08x: got %08x, want %08x", tt.ctr, tt.key, got, tt.want)
		}
	}
}
