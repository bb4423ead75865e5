package eval

import (
	"fmt"
	"math"
	"strings"

	"github.com/xpeft/xpeft/research/stats"
)

// PrecisionRow compares one precision's answers to the same questions with those in float32.
type PrecisionRow struct {
	Source    string         `json:"source"`
	Precision string         `json:"precision"`
	N         int            `json:"n"`
	Accuracy  float64        `json:"accuracy"` // in float32
	Gain      stats.Interval `json:"gain"`     // of accuracy, in points
	Loss      float64        `json:"loss"`     // log-loss in float32
	LossGain  stats.Interval `json:"loss_gain"`
	Changed   float64        `json:"changed"` // share of answers with another label
	Margin    float64        `json:"margin"`  // in float32, the largest of a changed answer
	Above     int            `json:"above"`   // changed answers of a margin above 0.05
	Moved     float64        `json:"moved"`   // mean change of the best label's probability
	MovedMost float64        `json:"moved_most"`
	Meets     bool           `json:"meets"` // the rule
}

// The rule: by how much a precision may differ from float32.
const (
	mostPoints = 0.3
	mostLoss   = 0.005
	mostMargin = 0.05
)

func comparePrecisions(source, precision string, exact, other []answered) PrecisionRow {
	r := PrecisionRow{Source: source, Precision: precision, N: len(exact)}
	points, losses, n := make([]float64, len(exact)), make([]float64, len(exact)), float64(len(exact))
	for i, a := range exact {
		b := other[i]
		if a.Right {
			r.Accuracy += 100 / n
			points[i] -= 100
		}
		if b.Right {
			points[i] += 100
		}
		r.Loss += a.Loss / n
		losses[i] = b.Loss - a.Loss
		moved := math.Abs(a.Best - b.Best)
		r.Moved, r.MovedMost = r.Moved+moved/n, max(r.MovedMost, moved)
		if a.Label == b.Label {
			continue
		}
		r.Changed += 1 / n
		r.Margin = max(r.Margin, a.Margin)
		if a.Margin > mostMargin {
			r.Above++
		}
	}
	r.Gain, r.LossGain = stats.Bootstrap(points, 10000, 1), stats.Bootstrap(losses, 10000, 1)
	r.Meets = math.Abs(r.Gain.Mean) <= mostPoints && math.Abs(r.LossGain.Mean) <= mostLoss && r.Above == 0
	return r
}

// PrecisionMarkdown is the table of the rows.
func PrecisionMarkdown(rows []PrecisionRow) string {
	var b strings.Builder
	b.WriteString("| source | precision | answers | accuracy in float32, and the change (95 %) | " +
		"log-loss in float32, and the change (95 %) | answers that change | largest margin of one | above 0.05 | " +
		"meets the rule |\n" + strings.Repeat("|---", 9) + "|\n")
	for _, r := range rows {
		meets := "no"
		if r.Meets {
			meets = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.1f, %+.2f (%+.2f to %+.2f) | ", r.Source, r.Precision, r.N, r.Accuracy,
			r.Gain.Mean, r.Gain.Low, r.Gain.High)
		fmt.Fprintf(&b, "%.3f, %+.4f (%+.4f to %+.4f) | ", r.Loss, r.LossGain.Mean, r.LossGain.Low, r.LossGain.High)
		fmt.Fprintf(&b, "%.2f %% | %.3f | %d | %s |\n", 100*r.Changed, r.Margin, r.Above, meets)
	}
	return b.String()
}
