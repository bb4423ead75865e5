package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewBatch(t *testing.T) {
	got, err := NewBatch([]Encoding{
		{IDs: []int32{2, 7, 3}, TypeIDs: []int32{0, 0, 0}},
		{IDs: []int32{2, 8, 3, 9, 3}, TypeIDs: []int32{0, 0, 0, 1, 1}},
	}, 6)
	if err != nil {
		t.Fatal(err)
	}
	want := &Batch{
		B: 2, T: 5,
		IDs:     []int64{2, 7, 3, 6, 6, 2, 8, 3, 9, 3},
		TypeIDs: []int64{0, 0, 0, 0, 0, 0, 0, 0, 1, 1},
		Lengths: []int{3, 5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
}

func TestNewBatchRefuses(t *testing.T) {
	for name, texts := range map[string][]Encoding{
		"no texts":  nil,
		"no tokens": {{}},
		"no types":  {{IDs: []int32{2, 3}}},
	} {
		if b, err := NewBatch(texts, 0); err == nil || b != nil {
			t.Errorf("%s: got %v, want an error", name, b)
		}
	}
}
