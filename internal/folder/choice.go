package folder

import (
	"bytes"
	"encoding/json"
	"slices"

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
