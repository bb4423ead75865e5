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
	f.Add(uint8(3), uint8(2), uint8(2), []byte("some bytes that become numbers, labels and weights"))
	f.Add(uint8(1), uint8(3), uint8(8), []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xbf, 1, 2, 3, 4, 5})
	f.Add(uint8(4), uint8(4), uint8(1), []byte{0, 0, 0xc0, 0x7f, 0xff, 0xff, 0x7f, 0x7f})
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
		res, err := Learn(context.Background(), p, &Options{PriorCaution: -1e6, Lambdas: []float64{0.1, 2}})
		if err != nil {
			if !errors.Is(err, ErrConfig) || res != nil {
				t.Fatal(err)
			}
			return
		}
		checkResult(t, p, res)
	})
}
