package numeric

import (
	"math"
	"slices"
)

// Softmax turns logits into probabilities, in place, and is log Σ exp of what they were.
func Softmax(logits []float64) float64 {
	top, sum := slices.Max(logits), 0.0
	for i, z := range logits {
		logits[i] = math.Exp(z - top)
		sum += logits[i]
	}
	for i := range logits {
		logits[i] /= sum
	}
	return top + math.Log(sum)
}
