package sdk

import (
	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
)

// LabelReport is how one label fares, each example answered by what had not learned from it.
type LabelReport struct {
	Label     string  `json:"label"`
	N         int     `json:"n"`         // examples of it that were measured on
	Recall    float64 `json:"recall"`    // of those, the share that was answered with it; 0 without any
	Precision float64 `json:"precision"` // of the answers with it, the share that was right; 0 without any
}

// labelReports are those of the labels that were given or answered, and the mean of their F1.
func labelReports(labels []string, examples []learner.Example, answers []digits.Answer) (out []LabelReport,
	macroF1 float64) {
	n, said, right := make([]int, len(labels)), make([]int, len(labels)), make([]int, len(labels))
	for i, a := range answers {
		if !a.Known {
			continue
		}
		n[examples[i].Class]++
		said[a.Label]++
		if a.Right {
			right[a.Label]++
		}
	}
	return fromCounts(labels, n, said, right)
}

// fromCounts are reports of labels from how often each was right to give, given, and both.
func fromCounts(labels []string, n, said, right []int) (out []LabelReport, macroF1 float64) {
	for c, label := range labels {
		if n[c]+said[c] == 0 {
			continue
		}
		out = append(out, LabelReport{label, n[c], portion(right[c], n[c]), portion(right[c], said[c])})
		macroF1 += portion(2*right[c], n[c]+said[c])
	}
	return out, macroF1 / float64(max(1, len(out)))
}

func portion(part, of int) float64 { return float64(part) / float64(max(1, of)) }
