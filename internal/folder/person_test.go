package folder

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

// TestPerson: all that is stored of a person comes out as JSON, numbers that JSON does not have and
// weights as they were given included.
func TestPerson(t *testing.T) {
	_, st := newFolder(t, 8)
	m, err := bitmask.New(6, 2, 1)
	must(t, err)
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		m.Row(side, 0).Set(1)
		m.Row(side, 0).Set(4)
	}
	when := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	notes := sumBytes(4, 3, 2, 1)
	rec := &store.Profile{ID: "ann", Bank: 1, Mask: m, OwnHead: []byte("head"), Examples: 2,
		Before: float32(math.NaN()), After: 0.5}
	_, err = st.Put(t.Context(), rec, store.Write{State: []byte("logits"), Append: []store.Example{
		{Text: "a", Label: "x", Time: when, Rejected: true, Weight: 0.1},
		{Text: "b", Pair: "c", Label: NumberLabel(-2.5), Time: when},
	}, Person: func(p *store.Person) { p.Private, p.Notes = true, notes }})
	must(t, err)
	heads := func(*store.Profile) (string, []string, error) { return "own", []string{"x"}, nil }
	d, err := Person(st, "ann", heads)
	must(t, err)
	if _, err := json.Marshal(d); err != nil {
		t.Errorf("as JSON: %v", err)
	}
	value := -2.5
	want := []PersonExample{{Text: "a", Label: "x", Rejected: true, Weight: 0.1, Time: when},
		{Text: "b", Pair: "c", Value: &value, Weight: 1, Time: when}}
	if diff := cmp.Diff(want, d.Examples); diff != "" {
		t.Errorf("examples (-want +got):\n%s", diff)
	}
	if !d.Private || d.Waiting != 2 || string(d.State) != "logits" ||
		d.Prequential != (Prequential{4, 0.75, 0.5, 0.25}) || d.Counts == nil {
		t.Errorf("got %+v, want what was stored", d)
	}
	if len(d.Revisions) != 1 || d.Revisions[0].Before != nil || *d.Revisions[0].After != 0.5 ||
		len(d.Revisions[0].Masks) != 2 {
		t.Fatalf("got the revisions %+v, want one without a score before", d.Revisions)
	}
	if diff := cmp.Diff(PersonMask{Side: "down", Adapters: []int32{1, 4}}, d.Revisions[0].Masks[0]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
}

// TestPersonWithoutMask: of a revision with digits the rows of its labels come out, and the digest
// of their axes; one with neither has none. A row of a label that the head does not have is said to
// be corrupt.
func TestPersonWithoutMask(t *testing.T) {
	_, st := newFolder(t, 8)
	axes, err := st.PutBank(t.Context(), store.BankInfo{Digest: store.Digest{5}, N: 16, Blocks: 1})
	must(t, err)
	codes := []store.Code{{Bank: axes, K: 8, Labels: []uint32{0, 2}, Rows: []byte{5, 0x81}, Scales: []byte{160, 1}}}
	for _, codes := range [][]store.Code{nil, codes} {
		_, err := st.Put(t.Context(), &store.Profile{ID: "ann", Codes: codes}, store.Write{})
		must(t, err)
	}
	labels := []string{"x", "y", "z"}
	heads := func(*store.Profile) (string, []string, error) { return "shared", labels, nil }
	d, err := Person(st, "ann", heads)
	must(t, err)
	if len(d.Revisions) != 2 {
		t.Fatalf("got %d revisions, want 2", len(d.Revisions))
	}
	coded := []PersonMask{
		{Side: "head", Label: "x", Adapters: []int32{1, 2, 5, 6, 8, 10, 12, 14}},
		{Side: "head", Label: "z", Adapters: []int32{1, 2, 4, 6, 8, 10, 12, 15}},
	}
	for i, want := range []struct {
		bank string
		rows []PersonMask
	}{{store.Digest{5}.String(), coded}, {"", []PersonMask{}}} {
		r := d.Revisions[i]
		if diff := cmp.Diff(want.rows, r.Masks); diff != "" || r.Bank != want.bank || len(r.Record) == 0 {
			t.Errorf("revision %d: got bank %q and a record of %d bytes, want %q and one; rows (-want +got):\n%s",
				i, r.Bank, len(r.Record), want.bank, diff)
		}
	}
	labels = labels[:2]
	if _, err := Person(st, "ann", heads); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a row of no label: got %v, want ErrCorrupt", err)
	}
}

func sumBytes(sums ...float32) (b []byte) {
	for _, x := range sums {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// TestPrequential: shares are between 0 and 1 whatever a bundle brought, and nothing is measured of
// bytes that are none of ours.
func TestPrequential(t *testing.T) {
	inf := float32(math.Inf(1))
	for name, test := range map[string]struct {
		b    []byte
		want Prequential
	}{
		"nothing":     {nil, Prequential{}},
		"cut":         {sumBytes(4, 3, 2), Prequential{}},
		"longer":      {sumBytes(4, 3, 2, 1, 0), Prequential{}},
		"shares":      {sumBytes(4, 3, 2, 1), Prequential{4, 0.75, 0.5, 0.25}},
		"over all":    {sumBytes(1, 3, 2, 1), Prequential{1, 1, 1, 1}},
		"no numbers":  {sumBytes(4, float32(math.NaN()), -1, inf), Prequential{N: 4}},
		"no examples": {sumBytes(0, 3, 2, 1), Prequential{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := PrequentialOf(test.b); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
