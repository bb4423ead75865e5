package axes

import (
	"slices"

	"github.com/xpeft/xpeft/bank"
)

// maxTextBytes bounds keys and parts of single texts, as stored.
const maxTextBytes = bank.MaxAxesBytes / 2

// textsBytes are those of keys and of parts in float16.
func textsBytes(texts, axes, labels int) int64 {
	return int64(texts) * (8 + 2*(1+int64(axes))*int64(labels))
}

// HoldsTexts says whether joint axes for some labels can hold parts of so many texts.
func HoldsTexts(texts, axes, labels int) bool {
	return texts <= bank.MaxJointTexts && textsBytes(texts, axes, labels) <= maxTextBytes
}

// Text is the number of the text with a key, if the axes have parts of it. What a key is made of,
// the axes do not say.
func (a *Joint) Text(key uint64) (int, bool) { return slices.BinarySearch(a.Keys, key) }

// AddText adds to each label's logit what text number i has of its own: one part whoever is asked,
// and one for each axis times a person's level there. No levels are nobody's.
func (a *Joint) AddText(logits []float32, i int, levels []float32) {
	C := len(a.Labels)
	own := a.Own[i*(1+a.Count())*C:]
	for c := range C {
		logits[c] += own[c]
		for j, level := range levels {
			logits[c] += level * own[(1+j)*C+c]
		}
	}
}

func (a *Joint) checkTexts() error {
	T, J, C := len(a.Keys), a.Count(), len(a.Labels)
	if !HoldsTexts(T, J, C) || len(a.Own) != T*(1+J)*C {
		return invalidf("%d values of %d texts for %d axes and %d labels", len(a.Own), T, J, C)
	}
	for i := 1; i < T; i++ {
		if a.Keys[i] <= a.Keys[i-1] {
			return invalidf("the key of text %d is not above the one before", i)
		}
	}
	return nil
}
