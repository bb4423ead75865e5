package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/xpeft/xpeft/research/stats"
)

// PeopleRow is one mode at one number of answers. A person counts once: their value is the mean over the splits.
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
	Spread   float64        `json:"spread"` // standard deviation of Ahead over the banks
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
	return PeopleBank{Split: split, Side: side, People: people, Rank: r.Rank, Digits: b.Digits, Head: r.Head, Axis: r.Axis, Gain: r.Gain, GainError: r.SE}
}

// peopleTally holds sums by mode and number of answers, person and bank.
type peopleTally struct {
	people int
	banks  []PeopleBank
	mu     sync.Mutex
	modes  map[peopleMode][]map[int]*peopleSum // of each person, by bank
}

type peopleMode struct {
	mode  string
	shots int
}

type peopleSum struct{ n, right, loss float64 }

func newPeopleTally(people int) *peopleTally {
	return &peopleTally{people: people, modes: map[peopleMode][]map[int]*peopleSum{}}
}

func (t *peopleTally) add(mode string, shots, who, bank int, weight float64, class []int, logits [][]float64) {
	var s peopleSum
	for k, z := range logits {
		loss, right := logLoss(z, class[k])
		if s.n, s.loss = s.n+weight, s.loss+weight*loss; right {
			s.right += weight
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := peopleMode{mode, shots}
	if t.modes[key] == nil {
		t.modes[key] = make([]map[int]*peopleSum, t.people)
	}
	of := t.modes[key]
	if of[who] == nil {
		of[who] = map[int]*peopleSum{}
	}
	if old := of[who][bank]; old != nil {
		s.n, s.right, s.loss = s.n+old.n, s.right+old.right, s.loss+old.loss
	}
	of[who][bank] = &s
}

// perPerson are means of each person who was measured, over banks: accuracy and log-loss.
func (t *peopleTally) perPerson(key peopleMode) (accuracy, loss []float64, n int) {
	for _, banks := range t.modes[key] {
		if len(banks) == 0 {
			continue
		}
		var a, l []float64
		for b := range len(t.banks) {
			if s := banks[b]; s != nil {
				a, l, n = append(a, s.right/s.n), append(l, s.loss/s.n), n+int(math.Round(s.n))
			}
		}
		accuracy, loss = append(accuracy, stats.Mean(a)), append(loss, stats.Mean(l))
	}
	return accuracy, loss, n
}

// perBank is the mean accuracy of each bank's newcomers.
func (t *peopleTally) perBank(key peopleMode) []float64 {
	out := make([][]float64, len(t.banks))
	for _, banks := range t.modes[key] {
		for b, s := range banks {
			out[b] = append(out[b], s.right/s.n)
		}
	}
	means := make([]float64, len(out))
	for b := range out {
		means[b] = stats.Mean(out[b])
	}
	return means
}

// rows are all modes at all numbers of answers, with the best setting of each.
func (t *peopleTally) rows(e *People) (rows []PeopleRow) {
	for _, shots := range e.Shots {
		reference := peopleMode{peoplePrior, shots}
		a, _, _ := t.perPerson(reference)
		if b, _, _ := t.perPerson(peopleMode{peopleBias, shots}); stats.Mean(b) > stats.Mean(a) {
			reference.mode = peopleBias
		}
		for _, mode := range peopleModes {
			best := PeopleRow{Accuracy: -1}
			for key := range t.modes {
				name, setting, _ := strings.Cut(key.mode, ", ")
				if name != mode || key.shots != shots {
					continue
				}
				if r := t.row(key, reference); r.Accuracy > best.Accuracy || r.Accuracy == best.Accuracy && setting < best.Setting {
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
	accuracy, loss, n := t.perPerson(key)
	prior, _, _ := t.perPerson(reference)
	code, _, _ := t.perPerson(peopleMode{peopleCode, key.shots})
	r.People, r.N, r.Accuracy, r.Loss = len(accuracy), n, stats.Mean(accuracy), stats.Mean(loss)
	ahead, behind := make([]float64, len(accuracy)), make([]float64, len(accuracy))
	for i, v := range accuracy {
		ahead[i], behind[i] = v-prior[i], code[i]-v
	}
	r.Ahead, r.Behind = stats.Bootstrap(ahead, draws, 1), stats.Bootstrap(behind, draws, 1)
	r.P = stats.PairedPermutation(code, accuracy, draws, 1)
	with, without := t.perBank(key), t.perBank(reference)
	for b := range with {
		with[b] -= without[b]
	}
	mean := stats.Mean(with)
	for _, v := range with {
		r.Spread += (v - mean) * (v - mean)
	}
	r.Spread = math.Sqrt(r.Spread / max(1, float64(len(with)-1)))
	return r
}

// PeopleMarkdown draws the table.
func PeopleMarkdown(rows []PeopleRow, banks []PeopleBank) string {
	var b strings.Builder
	b.WriteString("| answers | mode | best setting | people | n | accuracy | log-loss | over the prior (95 %) | spread over banks | code ahead by (95 %) | p |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
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
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %.2f | %.4f | %s | %.2f | %s | %.4f |\n", shots, r.Mode, setting, r.People, r.N, 100*r.Accuracy, r.Loss,
			interval(r.Ahead), 100*r.Spread, interval(r.Behind), r.P)
	}
	var ranks []string
	for _, k := range banks {
		ranks = append(ranks, fmt.Sprintf("%d %v", k.Rank, k.Digits))
	}
	slices.Sort(ranks)
	fmt.Fprintf(&b, "\nRanks and digits of the %d banks: %s.\n", len(banks), strings.Join(ranks, ", "))
	return b.String()
}
