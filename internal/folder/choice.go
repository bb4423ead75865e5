package folder

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/xpeft/xpeft/store"
)

// A choice among candidates is stored as an example: the text that they were offered for, if any,
// the candidates as a JSON array in the place of the pair, sorted, and the byte 2 and the chosen
// one as the label. So the same choice made anew replaces the earlier one, as any label does.
const choiceMark = 0x02

// RankLabel is the label that the row of a profile which orders candidates has in its record,
// behind those of any head.
const RankLabel = 1<<16 - 1

// Choice is a choice among candidates as it is stored.
func Choice(text string, candidates []string, chosen string) (store.Example, error) {
	pair, err := ChoicePair(candidates)
	return store.Example{Text: text, Pair: pair, Label: string(rune(choiceMark)) + chosen}, err
}

// ChoicePair is what stands for candidates in the place of a pair, in whatever order they are
// given.
func ChoicePair(candidates []string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(slices.Sorted(slices.Values(candidates))); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}

// ReadChoice reads what Choice made of candidates that can be offered; ok is false for any other
// example. A bundle may bring one that is none: candidates that are empty, or there twice, have no
// place in what learns from choices.
func ReadChoice(e store.Example) (candidates []string, chosen string, ok bool) {
	if !IsChoice(e.Label) || json.Unmarshal([]byte(e.Pair), &candidates) != nil || len(candidates) < 2 {
		return nil, "", false
	}
	before := "" // they are sorted
	for _, c := range candidates {
		if c <= before {
			return nil, "", false
		}
		before = c
	}
	chosen = e.Label[1:]
	return candidates, chosen, slices.Contains(candidates, chosen)
}

// IsChoice says whether a label begins like a choice, which no user's label may.
func IsChoice(label string) bool { return label != "" && label[0] == choiceMark }

// Reserved says whether a label begins like a number, a choice or a set of labels.
func Reserved(label string) bool { return IsNumber(label) || IsChoice(label) || IsLabelSet(label) }

// LabelRows are the code of a record that answers, and how many rows of labels it has; where there
// is none but the row that orders candidates, that code and 0.
func LabelRows(codes []store.Code) (code *store.Code, rows int) {
	for i := range codes {
		c := &codes[i]
		n := len(c.Labels)
		if n > 0 && c.Labels[n-1] == RankLabel {
			n--
		}
		if code == nil || n > 0 {
			code, rows = c, n
		}
	}
	return code, rows
}

// In a folder whose labels are not exclusive an example has a set of them, or none: the byte 3 and
// the labels as a JSON array, sorted, where others have their label. So the same set given anew is
// the same label.
const setMark = 0x03

// LabelSet is a set of labels as it is stored with an example.
func LabelSet(labels []string) string {
	data, _ := json.Marshal(append([]string{}, slices.Sorted(slices.Values(labels))...)) // strings always have JSON
	return string(rune(setMark)) + string(data)
}

// ReadLabelSet reads what LabelSet made: not nil, even of no labels; ok is false for any other
// label, and where a bundle brought something that is none.
func ReadLabelSet(label string) (labels []string, ok bool) {
	if !IsLabelSet(label) || json.Unmarshal([]byte(label[1:]), &labels) != nil || labels == nil {
		return nil, false
	}
	return labels, true
}

// IsLabelSet says whether a label begins like a set, which no user's label may.
func IsLabelSet(label string) bool { return label != "" && label[0] == setMark }

// A profile that learns numbers has them where others have labels: the byte 1 and the shortest
// decimal that gives the number back. No label begins with that byte.
const numberMark = 0x01

// NumberLabel is a number as it is stored with an example.
func NumberLabel(v float64) string {
	return string(rune(numberMark)) + strconv.FormatFloat(v, 'g', -1, 64)
}

// Number reads what NumberLabel made; ok is false for a label.
func Number(label string) (v float64, ok bool) {
	if !IsNumber(label) {
		return 0, false
	}
	v, err := strconv.ParseFloat(label[1:], 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// IsNumber says whether a label begins like a number, which no user's label may.
func IsNumber(label string) bool { return label != "" && label[0] == numberMark }
