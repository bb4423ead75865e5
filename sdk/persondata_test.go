package sdk

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// bareStore is a store with one random bank, and without a model.
func bareStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Create(filepath.Join(t.TempDir(), "xpeft.db"),
		store.Meta{Encoder: store.Digest{1}, Tokenizer: store.Digest{2}, MaxTokens: 64}, &store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	info, err := folder.RandomInfo(bank.Properties{Origin: bank.Random, N: 6, Blocks: 1, Hidden: 8, Bottleneck: 2,
		NormB: true, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
	if err == nil {
		_, err = st.PutBank(t.Context(), info)
	}
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// headOver are the bytes of a head of labels.
func headOver(t *testing.T, labels ...string) []byte {
	t.Helper()
	h := &model.Head{Labels: labels, Hidden: 2, W: make([]float32, 2*len(labels)), B: make([]float32, len(labels)),
		Counts: make([]uint32, len(labels))}
	data, err := h.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReadPersonData: all that is stored of a person comes out as JSON, numbers that JSON does not
// have and weights as they were given included.
func TestReadPersonData(t *testing.T) {
	st := bareStore(t)
	m, err := bitmask.New(6, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		m.Row(side, 0).Set(1)
		m.Row(side, 0).Set(4)
	}
	when := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var notes []byte
	for _, x := range []float32{4, 3, 2, 1} {
		notes = binary.LittleEndian.AppendUint32(notes, math.Float32bits(x))
	}
	rec := &store.Profile{ID: "ann", Bank: 1, Mask: m, OwnHead: headOver(t, "x", "y"), Examples: 2,
		Before: float32(math.NaN()), After: 0.5}
	_, err = st.Put(t.Context(), rec, store.Write{State: []byte("logits"), Append: []store.Example{
		{Text: "a", Label: "x", Time: when, Rejected: true, Weight: 0.1},
		{Text: "b", Pair: "c", Label: folder.NumberLabel(-2.5), Time: when},
	}, Person: func(p *store.Person) { p.Private, p.Notes = true, notes }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := ReadPersonData(st, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Errorf("as JSON: %v", err)
	}
	want := []StoredExample{
		{Example: Example{Text: "a", Label: "x", Rejected: true, Weight: 0.1}, Time: when},
		{Example: Example{Text: "b", Pair: "c", Value: Number(-2.5), Weight: 1}, Time: when},
	}
	if diff := cmp.Diff(want, d.Examples); diff != "" {
		t.Errorf("examples (-want +got):\n%s", diff)
	}
	if !d.Private || d.Waiting != 2 || string(d.State) != "logits" || !cmp.Equal(d.Labels, []string{"x", "y"}) ||
		d.Prequential != (Prequential{4, 0.75, 0.5, 0.25}) || d.Counts == nil {
		t.Errorf("got %+v, want what was stored", d)
	}
	if len(d.Revisions) != 1 || d.Revisions[0].Before != nil || *d.Revisions[0].After != 0.5 ||
		len(d.Revisions[0].Masks) != 2 || d.Revisions[0].Head != "own" {
		t.Fatalf("got the revisions %+v, want one without a score before", d.Revisions)
	}
	if diff := cmp.Diff(PersonMask{Side: "down", Adapters: []int32{1, 4}}, d.Revisions[0].Masks[0]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
}

// TestReadPersonDataWithoutMask: of a revision with digits the rows of its labels come out, and the
// digest of their axes; one with neither has none. A row of a label that the head does not have is
// said to be corrupt.
func TestReadPersonDataWithoutMask(t *testing.T) {
	st := bareStore(t)
	axes, err := st.PutBank(t.Context(), store.BankInfo{Digest: store.Digest{5}, N: 16, Blocks: 1})
	if err != nil {
		t.Fatal(err)
	}
	put := func(id string, head []byte, codes ...store.Code) {
		t.Helper()
		ref, _, err := st.PutHead(t.Context(), head)
		if err == nil {
			_, err = st.Put(t.Context(), &store.Profile{ID: id, Head: ref, Codes: codes}, store.Write{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	code := store.Code{Bank: axes, K: 8, Labels: []uint32{0, 2}, Rows: []byte{5, 0x81}, Scales: []byte{160, 1}}
	put("ann", headOver(t, "x", "y", "z"))
	put("ann", headOver(t, "x", "y", "z"), code)
	put("bob", headOver(t, "x", "y"), code)
	d, err := ReadPersonData(st, "ann")
	if err != nil || len(d.Revisions) != 2 {
		t.Fatalf("got %+v, %v, want 2 revisions", d, err)
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
	if _, err := ReadPersonData(st, "bob"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a row of no label: got %v, want ErrCorrupt", err)
	}
}
