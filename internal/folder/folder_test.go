package folder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// random and warm banks for one encoder; another's would have another hidden size.
func random(hidden int) bank.Properties {
	return bank.Properties{Origin: bank.Random, N: 6, Blocks: 1, Hidden: hidden, Bottleneck: 2, NormB: true, Seed: 1,
		SigmaA: 0.03, SigmaB: 0.05}
}

func warm(hidden int) bank.Properties {
	return bank.Properties{Origin: bank.Warm, N: 6, Blocks: 1, Hidden: hidden, Bottleneck: 2, NormB: true}
}

// newFolder has a random bank.
func newFolder(t *testing.T, hidden int) (string, *store.Store) {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Create(DB(dir), store.Meta{Encoder: store.Digest{1}, Tokenizer: store.Digest{2}, MaxTokens: 64},
		&store.Options{NoSync: true})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	info, err := RandomInfo(random(hidden))
	must(t, err)
	_, err = st.PutBank(t.Context(), info)
	must(t, err)
	return dir, st
}

// warmFile is the bytes of a bank file whose weights are fill.
func warmFile(t *testing.T, hidden int, fill float32) []byte {
	t.Helper()
	p := warm(hidden)
	w := make([]float32, p.Elems())
	for i := range w {
		w[i] = fill
	}
	path := filepath.Join(t.TempDir(), "bank")
	_, err := bank.WriteFile(t.Context(), path, p, nil,
		func(bank.Side, int, int) ([]float32, []float32, error) { return w, nil, nil })
	must(t, err)
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

func put(t *testing.T, st *store.Store, id string, ref uint32) {
	t.Helper()
	m, err := bitmask.New(6, 2, 1)
	must(t, err)
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		m.Row(side, 0).Set(1)
		m.Row(side, 0).Set(4)
	}
	_, err = st.Put(t.Context(), &store.Profile{ID: id, Bank: ref, Mask: m}, store.Write{})
	must(t, err)
}

func bankFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(Banks(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// bundle of one profile over a random and one over a warm bank.
func bundle(t *testing.T, hidden int, o ExportOptions) ([]byte, store.Digest) {
	t.Helper()
	dir, st := newFolder(t, hidden)
	info, err := AddBank(t.Context(), st, dir, bytes.NewReader(warmFile(t, hidden, 0.5)))
	must(t, err)
	put(t, st, "random", 1)
	put(t, st, "warm", info.Ref)
	var b bytes.Buffer
	n, err := Export(t.Context(), st, dir, &b, o)
	must(t, err)
	if n != 2 {
		t.Fatalf("Export: got %d profiles, want 2", n)
	}
	return b.Bytes(), info.Digest
}

func TestBundleWithBank(t *testing.T) {
	data, digest := bundle(t, 8, ExportOptions{IncludeBank: true})
	dir, st := newFolder(t, 8)
	rep, err := Import(t.Context(), st, dir, bytes.NewReader(data), ImportOptions{})
	must(t, err)
	if rep.Profiles != 2 || rep.Banks != 1 {
		t.Errorf("Import: got %+v, want 2 profiles and 1 bank", rep)
	}
	problems, err := CheckBanks(t.Context(), st, dir, true)
	must(t, err)
	if got := bankFiles(t, dir); len(got) != 1 || got[0] != digest.String() || problems != nil {
		t.Errorf("banks: got %v and problems %v, want %s and none", got, problems, digest)
	}
}

func TestBundleWithoutBank(t *testing.T) {
	data, digest := bundle(t, 8, ExportOptions{})
	dir, st := newFolder(t, 8)
	_, err := Import(t.Context(), st, dir, bytes.NewReader(data), ImportOptions{})
	var mismatch *store.MismatchError
	if !errors.As(err, &mismatch) || mismatch.What != "bank" || mismatch.Want != digest {
		t.Errorf("Import without the bank: got error %v, want a MismatchError of bank %s", err, digest.Short())
	}
	// A file that lies there is taken, once it is verified; a damaged one is not.
	must(t, os.MkdirAll(Banks(dir), 0o700))
	file := warmFile(t, 8, 0.5)
	file[len(file)-1] ^= 1
	must(t, os.WriteFile(BankPath(dir, digest), file, 0o600))
	if _, err := Import(t.Context(), st, dir, bytes.NewReader(data), ImportOptions{}); !errors.Is(err,
		bank.ErrCorrupt) {
		t.Errorf("Import beside a damaged bank: got error %v, want ErrCorrupt", err)
	}
	file[len(file)-1] ^= 1
	must(t, os.WriteFile(BankPath(dir, digest), file, 0o600))
	rep, err := Import(t.Context(), st, dir, bytes.NewReader(data), ImportOptions{})
	must(t, err)
	if rep.Profiles != 2 {
		t.Errorf("Import beside the bank: got %+v, want 2 profiles", rep)
	}
}

// TestFailedImport: cut anywhere, or damaged, or for another encoder, a bundle leaves neither
// profiles nor files.
func TestFailedImport(t *testing.T) {
	data, _ := bundle(t, 8, ExportOptions{IncludeBank: true})
	dir, st := newFolder(t, 8)
	for at := range data {
		if at%17 != 0 && at < len(data)-8 {
			continue
		}
		flipped := bytes.Clone(data)
		flipped[at] ^= 1
		for what, bad := range map[string][]byte{"cut": data[:at], "flipped": flipped} {
			if _, err := Import(t.Context(), st, dir, bytes.NewReader(bad), ImportOptions{}); err == nil {
				t.Fatalf("bundle %s at byte %d: got no error", what, at)
			}
		}
	}
	if n, err := st.Count(); n != 0 || err != nil {
		t.Errorf("after failed imports: got %d profiles and error %v, want none", n, err)
	}
	if got := bankFiles(t, dir); len(got) != 0 {
		t.Errorf("after failed imports: got bank files %v, want none", got)
	}
	other, st2 := newFolder(t, 16)
	if _, err := Import(t.Context(), st2, other, bytes.NewReader(data), ImportOptions{}); !errors.Is(err,
		store.ErrMismatch) {
		t.Errorf("Import into a folder of another hidden size: got error %v, want ErrMismatch", err)
	}
	if got := bankFiles(t, other); len(got) != 0 {
		t.Errorf("after a mismatch: got bank files %v, want none", got)
	}
}

func TestAddBank(t *testing.T) {
	dir, st := newFolder(t, 8)
	file := warmFile(t, 8, 0.25)
	r := io.MultiReader(bytes.NewReader(file), strings.NewReader("tail"))
	info, err := AddBank(t.Context(), st, dir, r)
	must(t, err)
	if rest, _ := io.ReadAll(r); string(rest) != "tail" {
		t.Errorf("after the bank: got %q, want the tail untouched", rest)
	}
	if again, err := AddBank(t.Context(), st, dir, bytes.NewReader(file)); err != nil || again.Ref != info.Ref {
		t.Errorf("the same bank again: got ref %d and error %v, want %d", again.Ref, err, info.Ref)
	}
	f, err := OpenBank(dir, info)
	must(t, err)
	must(t, f.Close())
	if _, err := AddBank(t.Context(), st, dir, bytes.NewReader(warmFile(t, 16, 0.25))); !errors.Is(err,
		store.ErrMismatch) {
		t.Errorf("a bank for another encoder: got error %v, want ErrMismatch", err)
	}
	if _, err := AddBank(t.Context(), st, dir, bytes.NewReader(file[:len(file)-1])); !errors.Is(err, bank.ErrCorrupt) {
		t.Errorf("a bank cut short: got error %v, want ErrCorrupt", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := AddBank(ctx, st, dir, bytes.NewReader(warmFile(t, 8, 0.125))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got error %v, want context.Canceled", err)
	}
	if got := bankFiles(t, dir); len(got) != 1 {
		t.Errorf("bank files: got %v, want the one that was added", got)
	}
}

func TestProperties(t *testing.T) {
	info, err := RandomInfo(random(8))
	must(t, err)
	if got, err := Properties(info); err != nil || got != random(8) {
		t.Errorf("Properties: got %+v and error %v, want what went in", got, err)
	}
	for what, change := range map[string]func(*store.BankInfo){
		"N":          func(i *store.BankInfo) { i.N++ },
		"blocks":     func(i *store.BankInfo) { i.Blocks++ },
		"digest":     func(i *store.BankInfo) { i.Digest[0] ^= 1 },
		"properties": func(i *store.BankInfo) { i.Properties = i.Properties[1:] },
	} {
		bad := info
		change(&bad)
		if _, err := Properties(bad); !errors.Is(err, bank.ErrCorrupt) {
			t.Errorf("another %s: got error %v, want ErrCorrupt", what, err)
		}
	}
}

func TestExists(t *testing.T) {
	dir, _ := newFolder(t, 8)
	if got, err := Exists(dir); !got || err != nil {
		t.Errorf("Exists: got %v and error %v, want true", got, err)
	}
	if got, err := Exists(t.TempDir()); got || err != nil {
		t.Errorf("Exists of an empty folder: got %v and error %v, want false", got, err)
	}
}

// TestWindows: a folder's windows are one, or a decimal of two or more.
func TestWindows(t *testing.T) {
	for said, want := range map[string]int{"": 1, "2": 2, "32": 32, "1": 0, "-3": 0, "two": 0} {
		m := store.Meta{Extra: map[string]string{ExtraK: "1", ExtraWindows: said}}
		if said == "" {
			delete(m.Extra, ExtraWindows)
		}
		if got, err := ReadExtra(m); got.Windows != want || (err != nil) != (want == 0) || err != nil &&
			!errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: got %d, %v, want %d", said, got.Windows, err, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, v := range []float64{0, -1.5, 1e300, math.SmallestNonzeroFloat64, 1.0 / 3} {
		if got, ok := Number(NumberLabel(v)); !ok || got != v {
			t.Errorf("Number(NumberLabel(%g)): got %g and %v, want it back", v, got, ok)
		}
	}
	for _, label := range []string{"", "1", "later", "\x01", "\x01x", "\x01NaN", "\x01+Inf"} {
		if v, ok := Number(label); ok {
			t.Errorf("Number(%q): got %g, want no number", label, v)
		}
	}
}
