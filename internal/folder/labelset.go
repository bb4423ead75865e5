package folder

import (
	"encoding/json"
	"slices"
)

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
