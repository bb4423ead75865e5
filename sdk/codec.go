package sdk

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/quant"
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
