package digits

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// FuzzLearn: any numbers are ErrConfig, or a result as documented.
func FuzzLearn(f *testing.F) {
	numbers := func(words ...uint32) (b []byte) {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	const one, minusOne, nan = 0x3f80_0000, 0xbf80_0000, 0x7fc0_0000
	f.Add(uint8(1), uint8(2), uint8(2),
		numbers(0, one, 0, 0, 1<<8, minusOne, 0, 0, 0, one, one, one, 1<<8|1, minusOne, one, 0))
	f.Add(uint8(2), uint8(3), uint8(8), numbers(0, one, one, 0, 0, 0, 2<<8, 0, minusOne, one))
	f.Add(uint8(1), uint8(2), uint8(1), numbers(0, nan, one, one, 1<<8, one, one, one))
	f.Fuzz(func(t *testing.T, axes, labels, digits uint8, data []byte) {
		p := &Person{A: int(axes % 8), C: int(labels % 6), Digits: int(digits % 10), Prior: countPrior}
		if p.C < 2 {
			p.Prior = nil
		}
		next := func() (v uint32) {
			var b [4]byte
			data = data[copy(b[:], data):]
			return binary.LittleEndian.Uint32(b[:])
		}
		for len(data) > 0 && len(p.Class) < 12 {
			head := next()
			p.Class = append(p.Class, int(head>>8)%7)
			p.Rejected = append(p.Rejected, head&1 == 1)
			p.Weight = append(p.Weight, float32(head>>16&15))
			for range p.A {
				p.P = append(p.P, math.Float32frombits(next()))
			}
			for range p.C {
				p.Base = append(p.Base, math.Float32frombits(next()))
			}
		}
		res, err := Learn(context.Background(), p, &Options{Always: true, Lambdas: []float64{0.1, 2}})
		if err != nil {
			if !errors.Is(err, ErrConfig) || res != nil {
				t.Fatal(err)
			}
			return
		}
		checkResult(t, p, res)
	})
}
