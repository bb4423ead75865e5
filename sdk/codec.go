//go:build cgo

package sdk

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// A learned label bias is stored in 8 bits a value: a float32 step, then C signed bytes.

func encodeBias(bias []float32) []byte {
	if bias == nil {
		return nil
	}
	top := 0.0
	for _, b := range bias {
		top = math.Max(top, math.Abs(float64(b)))
	}
	step := float32(top / 127)
	out := binary.LittleEndian.AppendUint32(nil, math.Float32bits(step))
	for _, b := range bias {
		q := int8(0)
		if step > 0 {
			q = int8(math.RoundToEven(float64(b / step)))
		}
		out = append(out, byte(q))
	}
	return out
}

func decodeBias(data []byte, h *model.Head) ([]float32, error) {
	if data == nil {
		return nil, nil
	}
	if len(data) != 4+len(h.Labels) {
		return nil, fmt.Errorf("%w: a bias of %d bytes for %d labels", ErrCorrupt, len(data), len(h.Labels))
	}
	step := math.Float32frombits(binary.LittleEndian.Uint32(data))
	if !(step >= 0 && step < math.MaxFloat32/256) {
		return nil, fmt.Errorf("%w: a bias with a step of %g", ErrCorrupt, step)
	}
	out := make([]float32, len(h.Labels))
	for i := range out {
		out[i] = float32(int8(data[4+i])) * step
	}
	return out, nil
}

// A profile's state is its logits in half precision, [2][L][N], little-endian: what the next Learn continues from.

func encodeState(g *learner.Logits) []byte {
	out := make([]byte, 0, 2*len(g.Values))
	for _, v := range g.Values {
		out = binary.LittleEndian.AppendUint16(out, half.From(v))
	}
	return out
}

// decodeState returns nil for a state that does not fit or is not finite: it is derived data, and the mask stands in for it.
func decodeState(data []byte, n, blocks int) *learner.Logits {
	g := learner.NewLogits(n, blocks)
	if len(data) != 2*len(g.Values) {
		return nil
	}
	for i := range g.Values {
		v := half.To(binary.LittleEndian.Uint16(data[2*i:]))
		if v-v != 0 {
			return nil
		}
		g.Values[i] = v
	}
	return g
}
