package eval

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/xpeft/xpeft/research/stats"
)

// Unseen is a text that nobody has filed, with the label that each person would give it.
type Unseen struct {
	Text   string
	Labels map[string]string
}

// ReadUnseen reads JSON lines.
func ReadUnseen(path string) (all []Unseen, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		var u Unseen
		if err := json.Unmarshal([]byte(line), &u); err != nil || u.Text == "" {
			return nil, fmt.Errorf("%w: %s: line %d: want a text and its labels (%w)", ErrData, path, len(all)+1, err)
		}
		all = append(all, u)
	}
	return all, nil
}

// AloneRow is one way of serving people alone, on one kind of texts.
type AloneRow struct {
	Texts   string `json:"texts"` // kept back or unseen
	Shots   int    `json:"shots,omitempty"`
	Way     string `json:"way"`
	Setting string `json:"setting,omitempty"` // the best of all that were tried, on these very texts
	People  int    `json:"people"`
	N       int    `json:"n"` // texts that were asked for, each in some of the splits
	Splits  int    `json:"splits"`
	// what the interval draws; a unit's value is the mean over the splits
	Unit     string  `json:"unit"`
	Accuracy float64 `json:"accuracy"` // a person counts once
	// the SDK's accuracy less this one's, on the same texts and splits
	Ahead  stats.Interval `json:"ahead"`
	Bytes  float64        `json:"bytes,omitempty"`  // of the SDK's records, mean
	Digits float64        `json:"digits,omitempty"` // share of them that have digits; the others serve the prior
}

// Ways of serving a person alone, in the order of the table.
const (
	servedAlone = "sdk"      // Learn and Predict; answers that were taught are left out
	priorAlone  = "prior"    // the shared head and the person's label prior: what serves if nothing is ever installed
	codeAlone   = "digits"   // digits installed for everybody, whatever the folds say
	ownLast     = "own last" // an own head in float32 over the last block's pooled embedding
	ownFeatures = "own φ"    // the same over φ
)

var aloneWays = []string{servedAlone, priorAlone, codeAlone, ownLast, ownFeatures}

// fewPeopleAlone is below which number of people texts are drawn within each, instead of people.
const fewPeopleAlone = 20

// tally counts right answers: those of one way by person and text.
type tally struct {
	own    []int     // texts of each person that are no unseen ones
	bytes  []float64 // of each of the SDK's records
	digits []float64 // 1 for each that has some, else 0

	mu   sync.Mutex
	ways map[string][]counts // by "way" or "way, setting"
}

// counts are a person's, by text.
type counts struct{ right, asked map[int]int }

func newTally(own []int) *tally { return &tally{own: own, ways: map[string][]counts{}} }

// add counts the answers to some of a person's texts.
func (t *tally) add(way string, person int, which []int, right func(i int) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ways[way] == nil {
		for range t.own {
			t.ways[way] = append(t.ways[way], counts{map[int]int{}, map[int]int{}})
		}
	}
	c := t.ways[way][person]
	for i, text := range which {
		c.asked[text]++
		if right(i) {
			c.right[text]++
		}
	}
}

// rates are the shares of right answers of each person's texts, in the texts' order.
func (t *tally) rates(way string, unseen bool) [][]float64 {
	out := make([][]float64, len(t.own))
	for p, c := range t.ways[way] {
		for _, text := range slices.Sorted(maps.Keys(c.asked)) {
			if (text >= t.own[p]) == unseen {
				out[p] = append(out[p], float64(c.right[text])/float64(c.asked[text]))
			}
		}
	}
	return out
}

// rows are those of every way, with its best setting.
func (t *tally) rows(shots, splits int) (rows []AloneRow) {
	for _, unseen := range []bool{false, true} {
		served := t.rates(servedAlone, unseen)
		if len(served[0]) == 0 {
			continue
		}
		best := map[string]AloneRow{}
		for _, name := range slices.Sorted(maps.Keys(t.ways)) {
			way, setting, _ := strings.Cut(name, ", ")
			r := AloneRow{Texts: "kept back", Shots: shots, Way: way, Setting: setting, People: len(t.own),
				Splits: splits}
			if unseen {
				r.Texts = "unseen"
			}
			r.measure(served, t.rates(name, unseen), unseen)
			if way == servedAlone {
				r.Bytes, r.Digits = stats.Mean(t.bytes), stats.Mean(t.digits)
			}
			if old, ok := best[way]; !ok || r.Accuracy > old.Accuracy {
				best[way] = r
			}
		}
		for _, way := range aloneWays {
			if r, ok := best[way]; ok {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// measure compares the rates of a way with the SDK's.
func (r *AloneRow) measure(served, other [][]float64, unseen bool) {
	ahead := make([][]float64, len(served))
	for p := range served {
		r.N += len(served[p])
		r.Accuracy += stats.Mean(other[p]) / float64(len(served))
		for i := range served[p] {
			ahead[p] = append(ahead[p], served[p][i]-other[p][i])
		}
	}
	switch {
	case unseen: // the same texts for everybody
		r.Unit = "text"
		r.N /= len(served)
		r.Ahead = stats.Bootstrap(acrossPeople(ahead), draws, 1)
	case len(served) < fewPeopleAlone:
		r.Unit = "text within a person"
		r.Ahead = stats.BootstrapWithin(ahead, draws, 1)
	default:
		r.Unit = "person"
		perPerson := make([]float64, len(ahead))
		for p := range ahead {
			perPerson[p] = stats.Mean(ahead[p])
		}
		r.Ahead = stats.Bootstrap(perPerson, draws, 1)
	}
}

// acrossPeople are the means of each text.
func acrossPeople(values [][]float64) []float64 {
	out := make([]float64, len(values[0]))
	for _, person := range values {
		for i, v := range person {
			out[i] += v / float64(len(values))
		}
	}
	return out
}

// AloneMarkdown draws the table.
func AloneMarkdown(rows []AloneRow) string {
	var b strings.Builder
	b.WriteString("| texts | learned from | way | best setting | people | n | splits | accuracy | sdk ahead by (95 " +
		"%) | smallest visible | drawn | bytes | with digits " +
		"|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		learned, ahead, visible, size, digits := "all", "–", "–", "–", "–"
		if r.Shots > 0 {
			learned = fmt.Sprint("at most ", r.Shots)
		}
		if r.Way == servedAlone {
			size, digits = fmt.Sprintf("%.0f", r.Bytes), fmt.Sprintf("%.2f", r.Digits)
		} else {
			ahead = fmt.Sprintf("%+.2f (%+.2f to %+.2f)", 100*r.Ahead.Mean, 100*r.Ahead.Low, 100*r.Ahead.High)
			visible = fmt.Sprintf("%.2f", 50*(r.Ahead.High-r.Ahead.Low))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %d | %d | %.2f | %s | %s | %s | %s | %s |\n", r.Texts, learned,
			r.Way, cmp.Or(r.Setting, "–"), r.People, r.N, r.Splits,
			100*r.Accuracy, ahead, visible, r.Unit, size, digits)
	}
	return b.String()
}
