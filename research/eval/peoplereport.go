package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/research/stats"
)

// PeopleRow is one mode at one number of answers. A person counts once: their value is the mean
// over the splits.
type PeopleRow struct {
	Shots    int            `json:"shots"` // 0: all
	Mode     string         `json:"mode"`
	Setting  string         `json:"setting,omitempty"` // the best of all that were tried, on these very texts
	People   int            `json:"people"`
	N        int            `json:"n"` // answers that were predicted, in all splits
	Accuracy float64        `json:"accuracy"`
	Loss     float64        `json:"loss"`   // mean log-loss
	Ahead    stats.Interval `json:"ahead"`  // accuracy less that of the better of prior and bias
	Behind   stats.Interval `json:"behind"` // the code's accuracy less this mode's
	P        float64        `json:"p"`      // of Behind, paired permutation of people, not adjusted
	// ten times that, at most 1: what Holm's correction can make of it at most in a family of ten
	PTimes10 float64 `json:"p10"`
	Spread   float64 `json:"spread"` // standard deviation of Ahead over the banks
	MacroF1  float64 `json:"macro_f1"`
	ECE      float64 `json:"ece"`   // expected calibration error over all answers, ten bins
	Bytes    float64 `json:"bytes"` // of a person, mean
	MS       float64 `json:"ms"`    // to learn a person beside the texts' forward passes, mean
}

// PeopleBank is what one population made.
type PeopleBank struct {
	Split     int     `json:"split"`
	Side      int     `json:"side"`
	People    int     `json:"people"`
	Rank      int     `json:"rank"`
	Digits    []int   `json:"digits,omitempty"`
	Head      float64 `json:"head"` // L2
	Axis      float64 `json:"axis,omitempty"`
	Gain      float64 `json:"gain"` // in log-loss, by the population's own cross-validation
	GainError float64 `json:"gain_error"`
}

func newPeopleBank(split, side int, b *banks, people int) PeopleBank {
	r := b.report
	return PeopleBank{Split: split, Side: side, People: people, Rank: r.Rank, Digits: b.Digits, Head: r.Head,
		Axis: r.Axis, Gain: r.Gain, GainError: r.SE}
}

// rows are all modes at all numbers of answers, with the best setting of each.
func (t *peopleTally) rows(e *People) (rows []PeopleRow) {
	for _, shots := range e.Shots {
		reference := peopleMode{peoplePrior, shots}
		if bias := (peopleMode{peopleBias, shots}); stats.Mean(t.perPerson(bias,
			right)) > stats.Mean(t.perPerson(reference, right)) {
			reference = bias
		}
		for _, mode := range append(peopleModes, moreModes...) {
			best := PeopleRow{Accuracy: -1}
			for key := range t.modes {
				name, setting, _ := strings.Cut(key.mode, ", ")
				if name != mode || key.shots != shots {
					continue
				}
				if r := t.row(key, reference); r.Accuracy > best.Accuracy || r.Accuracy == best.Accuracy &&
					setting < best.Setting {
					r.Mode, r.Setting = name, setting
					best = r
				}
			}
			if best.Accuracy >= 0 {
				rows = append(rows, best)
			}
		}
	}
	return rows
}

func (t *peopleTally) row(key, reference peopleMode) PeopleRow {
	r := PeopleRow{Shots: key.shots}
	accuracy, prior, code := t.perPerson(key, right), t.perPerson(reference, right),
		t.perPerson(peopleMode{peopleCode, key.shots}, right)
	mean := func(of func(*peopleSum) float64) float64 { return stats.Mean(t.perPerson(key, of)) }
	r.People, r.Accuracy, r.Loss, r.MacroF1 = len(accuracy), stats.Mean(accuracy), mean(loss), mean(macroF1)
	r.Bytes, r.MS = mean(func(s *peopleSum) float64 { return s.bytes }),
		mean(func(s *peopleSum) float64 { return 1e3 * s.took })
	r.N, r.ECE = t.calibration(key)
	ahead, behind := make([]float64, len(accuracy)), make([]float64, len(accuracy))
	for i, v := range accuracy {
		ahead[i], behind[i] = v-prior[i], code[i]-v
	}
	r.Ahead, r.Behind = stats.Bootstrap(ahead, draws, 1), stats.Bootstrap(behind, draws, 1)
	r.P = stats.PairedPermutation(code, accuracy, draws, 1)
	r.PTimes10 = min(1, 10*r.P)
	with, without := t.perBank(key), t.perBank(reference)
	for b := range with {
		with[b] -= without[b]
	}
	centre := stats.Mean(with)
	for _, v := range with {
		r.Spread += (v - centre) * (v - centre)
	}
	r.Spread = math.Sqrt(r.Spread / max(1, float64(len(with)-1)))
	return r
}

// PeopleMarkdown draws the table.
func PeopleMarkdown(rows []PeopleRow, banks []PeopleBank) string {
	var b strings.Builder
	b.WriteString("| answers | mode | best setting | people | n | accuracy | macro-F1 | log-loss | ECE | bytes | " +
		"ms | over the prior (95 %) | spread over banks | code ahead by (95 %) | p | p × 10 |\n" +
		strings.Repeat("|---", 16) + "|\n")
	interval := func(i stats.Interval) string {
		return fmt.Sprintf("%+.2f (%+.2f to %+.2f)", 100*i.Mean, 100*i.Low, 100*i.High)
	}
	for _, r := range rows {
		shots, setting := "all", "–"
		if r.Shots > 0 {
			shots = fmt.Sprint(r.Shots)
		}
		if r.Setting != "" {
			setting = r.Setting
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %.2f | %.2f | %.4f | %.3f | %.0f | %.2f | %s | %.2f | %s | "+
			"%.4f | %.4f |\n", shots, r.Mode, setting, r.People, r.N, 100*r.Accuracy, 100*r.MacroF1, r.Loss,
			r.ECE, r.Bytes, r.MS, interval(r.Ahead), 100*r.Spread, interval(r.Behind), r.P, r.PTimes10)
	}
	var ranks []string
	for _, k := range banks {
		ranks = append(ranks, fmt.Sprintf("%d %v", k.Rank, k.Digits))
	}
	slices.Sort(ranks)
	fmt.Fprintf(&b, "\nRanks and digits of the %d banks: %s.\n", len(banks), strings.Join(ranks, ", "))
	return b.String()
}
