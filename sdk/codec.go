package sdk

import (
	"encoding/binary"
	"fmt"

	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/internal/quant"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// A learned label bias is stored in 8 bits a value.

func encodeBias(bias []float32) ([]byte, error) {
	if bias == nil {
		return nil, nil
	}
	data, err := quant.Append(nil, bias)
	if err != nil {
		return nil, fmt.Errorf("%w: bias: %w", errDiverged, err)
	}
	return data, nil
}

func decodeBias(data []byte, h *model.Head) ([]float32, error) {
	if data == nil {
		return nil, nil
	}
	out := make([]float32, len(h.Labels))
	if err := quant.Decode(out, data); err != nil {
		return nil, fmt.Errorf("%w: bias: %w", ErrCorrupt, err)
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
