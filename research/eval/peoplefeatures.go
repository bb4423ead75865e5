package eval

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/model"
)

// Answered reads the texts' features, each text once. People with fewer than least answers, without
// those whose label is dropped, are left out. taps are blocks whose states are centred and scaled
// by each population's texts; nil: φ of the axes that are shipped for the model.
func (m *Machine) Answered(ctx context.Context, d *Data, least int, drop []string, taps []int) (*Answered, error) {
	a, texts := answers(d, least, drop)
	a.Hidden, a.Taps = m.Encoder.Hidden(), taps
	var shipped *axes.Axes
	if taps == nil {
		c, err := model.OpenCheckpoint(m.Dir)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if shipped = axes.Shipped(c.Digest()); shipped == nil {
			return nil, fmt.Errorf("%w: no axes are shipped for the model: name the blocks", ErrData)
		}
		a.Taps = shipped.Taps
	}
	all := make([]model.Encoding, len(texts))
	for i, t := range texts {
		m.Tokenizer.Encode(&all[i], t.Text, t.Pair, m.MaxTokens)
	}
	var err error
	if a.States, err = m.states(ctx, all, a.Taps); err == nil && taps == nil {
		a.States, a.Scaled = shipped.Phi(nil, a.States), true
	}
	return a, err
}
