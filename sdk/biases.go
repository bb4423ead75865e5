package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/store"
)

// Where a population says so, biases that are fitted to a person's examples take the label prior's
// place: these know which labels were no surprise in their texts, counts do not. A record has them
// as what they are beyond the prior of its counts, so that it is read as any other.

// biasPrecision is the precision of new profiles' biases that the last TrainBank found; 0: the
// label prior serves.
func (p *Folder) biasPrecision() (float64, error) {
	bits, err := p.metaNumber(metaBiases, "precision of biases", "the precision of biases")
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	v := math.Float32frombits(bits)
	if !(v >= 0 && v <= math.MaxFloat32) {
		return 0, fmt.Errorf("%w: biases of the precision %g", ErrCorrupt, v)
	}
	return float64(v), nil
}

func (p *Folder) putBiasPrecision(ctx context.Context, v float64) error {
	return p.store.PutMeta(ctx, metaBiases, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v))))
}

// beyondPrior is what fitted biases are beyond the prior of the same examples' counts; nil: that
// prior serves.
func (l *learning) beyondPrior(res *digits.Result) []float32 {
	if res.Biases == nil {
		return nil
	}
	out := make([]float32, len(res.Biases))
	for c, prior := range l.head.Prior(l.counts(l.examples), priorStrength) {
		out[c] = res.Biases[c] - prior
	}
	return out
}

// learnsEarly says whether one example says more through a Learn than by its label's count: where
// the population has axes, or fitted biases.
func (p *Folder) learnsEarly() bool {
	j, err := p.newcomersJoint()
	if err != nil || j != nil {
		return err == nil
	}
	v, err := p.biasPrecision()
	return err == nil && v > 0
}
