package eval

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/research/stats"
)

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

// way is one of a mode's answers to a person's test.
type way struct {
	mode   string
	weight float64       // the weights of a mode's ways are 1 together
	bytes  int           // what is kept of the person
	took   time.Duration // to learn it
}

// peopleSum is what a mode did for a person over a bank. All but n, right and loss are means over
// its ways.
type peopleSum struct {
	n, right, loss  float64
	f1, bytes, took float64 // macro-F1; seconds
	bins            [eceBins]eceBin
}

// eceBins is the number of bins of the calibration error.
const eceBins = 10

// eceBin holds the answers of some confidence: how many, the sum of confidences, and how many are
// right.
type eceBin struct{ n, sure, right float64 }

func newPeopleTally(people int) *peopleTally {
	return &peopleTally{people: people, modes: map[peopleMode][]map[int]*peopleSum{}}
}

// add counts a way's answers to the test, given as logits.
func (t *peopleTally) add(w way, shots, who, bank int, class []int, logits [][]float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := peopleMode{w.mode, shots}
	if t.modes[key] == nil {
		t.modes[key] = make([]map[int]*peopleSum, t.people)
	}
	if t.modes[key][who] == nil {
		t.modes[key][who] = map[int]*peopleSum{}
	}
	s := t.modes[key][who][bank]
	if s == nil {
		s = &peopleSum{}
		t.modes[key][who][bank] = s
	}
	s.add(w, class, logits)
}

func (s *peopleSum) add(w way, class []int, logits [][]float64) {
	var predicted []int
	for k, z := range logits {
		loss, isRight := logLoss(z, class[k])
		top := slices.Index(z, slices.Max(z))
		predicted = append(predicted, top)
		topLoss, _ := logLoss(z, top)
		sure := math.Exp(-topLoss)
		bin := &s.bins[min(int(sure*eceBins), eceBins-1)]
		s.n, s.loss, bin.n, bin.sure = s.n+w.weight, s.loss+w.weight*loss, bin.n+w.weight, bin.sure+w.weight*sure
		if isRight {
			s.right, bin.right = s.right+w.weight, bin.right+w.weight
		}
	}
	s.f1 += w.weight * stats.MacroF1(class, predicted)
	s.bytes += w.weight * float64(w.bytes)
	s.took += w.weight * w.took.Seconds()
}

func right(s *peopleSum) float64   { return s.right / s.n }
func loss(s *peopleSum) float64    { return s.loss / s.n }
func macroF1(s *peopleSum) float64 { return s.f1 }

// perPerson are means over banks, of each person who was measured.
func (t *peopleTally) perPerson(key peopleMode, value func(*peopleSum) float64) (out []float64) {
	for _, banks := range t.modes[key] {
		var all []float64
		for b := range len(t.banks) {
			if s := banks[b]; s != nil {
				all = append(all, value(s))
			}
		}
		if all != nil {
			out = append(out, stats.Mean(all))
		}
	}
	return out
}

// calibration is the number of answers, and how far their confidence is from the share that is
// right: the mean over bins, by their answers.
func (t *peopleTally) calibration(key peopleMode) (n int, ece float64) {
	var bins [eceBins]eceBin
	all := 0.0
	for _, banks := range t.modes[key] {
		for b := range len(t.banks) {
			if s := banks[b]; s != nil {
				n, all = n+int(math.Round(s.n)), all+s.n
				for k, bin := range s.bins {
					bins[k].n, bins[k].sure, bins[k].right = bins[k].n+bin.n, bins[k].sure+bin.sure,
						bins[k].right+bin.right
				}
			}
		}
	}
	for _, bin := range bins {
		ece += math.Abs(bin.sure-bin.right) / all
	}
	return n, ece
}

// perBank is the mean accuracy of each bank's newcomers.
func (t *peopleTally) perBank(key peopleMode) []float64 {
	out := make([][]float64, len(t.banks))
	for _, banks := range t.modes[key] {
		for b, s := range banks {
			out[b] = append(out[b], right(s))
		}
	}
	means := make([]float64, len(out))
	for b := range out {
		means[b] = stats.Mean(out[b])
	}
	return means
}

// codeBytes is what a code of some digits takes, with a byte a label of bias.
func codeBytes(m *population.Model) int {
	bits := 0
	for _, d := range m.Digits {
		bits += d
	}
	return (bits+7)/8 + m.C
}
